// Package imagestore is the Docker engine's image store behind one small API:
// inspect, list, tag, load and pull, on the classic and on the containerd
// store, with Engine API 1.40 to today's. A folder in the format of the OCI
// image layout stands behind the same API, see Layout.
//
// What it guarantees:
//   - The engine is found as Docker's CLI finds it, from what the caller hands
//     in; this package reads no environment variable.
//   - An error inside a stream that was answered with 200 is an error.
//   - Every failure is an *Error that says which side failed, the engine, the
//     folder or a registry, and can be told apart with errors.Is.
//   - Registry credentials go from the Docker config (or its helpers) to the
//     engine and nowhere else; they are cut out of errors.
//
// What it does not guarantee:
//   - That a tag still means what it meant. Callers keep the image ID and
//     create containers from it.
//   - That a load was complete. Old engines with a containerd store accept an
//     archive with layers missing; callers load under a temporary tag, inspect,
//     and only then tag.
package imagestore
