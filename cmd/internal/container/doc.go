// Package container creates and runs one container of an image and connects it to the caller's
// streams and signals, as `docker run` does.
//
// It guarantees that
//   - the container is of the image with the given ID, even if a tag moves;
//   - a container that cannot be started is removed;
//   - a terminal in raw mode is restored.
//
// It does not find the engine. If the connection to the engine breaks, the container continues
// without the caller.
package container
