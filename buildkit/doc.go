// Package buildkit solves one pinned Git commit with BuildKit and hands the image to a [Sink].
//
// It promises that the commit named in the [Request] is the commit that is built: the context goes
// to the builder as LLB built from parts, never as a URL string, and never in a form that follows a
// branch. The credential is offered to the fetch of that commit alone; by the time the Dockerfile
// frontend runs, it is out of reach. What the fetched tree may not contain is refused before the
// frontend runs.
//
// It does not know names, modes, records or tags, it does not judge whether an image is the right
// one, and it cannot see how the builder itself reaches the network.
package buildkit
