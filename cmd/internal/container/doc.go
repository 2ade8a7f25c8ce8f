// Package container makes one container of an image and joins it to the caller's streams and
// signals, as `docker run` does.
//
// It promises that the container is of the image whose ID it was given, whatever the tags mean by
// then; that a container which could not be started is gone; and that a terminal which was put into
// raw mode is put back.
//
// It does not find the engine, and it does not outlive it: if the connection breaks, the container
// goes on alone.
package container
