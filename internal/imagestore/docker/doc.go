// Package docker is the image store of a Docker engine, classic or containerd, with Engine API 1.40
// and later.
//
// What it guarantees beyond the contract of imagestore:
//   - It finds the engine as Docker's CLI does, from what the caller passes in. It reads no
//     environment variable.
//   - An error inside a stream that the engine answered with 200 is an error.
//   - Registry credentials go from the Docker config, or its helpers, to the engine and nowhere
//     else. They are removed from errors.
package docker
