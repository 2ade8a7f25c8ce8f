// Package pinion turns a template's name into an image in the local image store, pinned to a Git
// commit, without cloning anything.
//
// An [Orchestrator] asks the git server for the commit, hands BuildKit the repository pinned at it,
// brings the result into the Docker engine's image store and remembers what it did. Asking again
// costs one request to the git server and one to the image store.
//
// It guarantees that an [Image] it returns in local-build mode was built from the commit in
// Image.Revision, and that this was the head of the template's branch when the call asked. It never
// falls back to a registry, to an older commit or to a moving branch: where it cannot do what was
// asked it returns an error.
//
// It does not guarantee that the reference keeps naming the image once the call has returned, since
// any user of the engine can move a tag: create containers from Image.ID where that matters.
package pinion
