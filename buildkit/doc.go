// Package buildkit solves one pinned Git commit with BuildKit and delivers the image to a [Sink].
//
// It guarantees:
//   - The commit in the [Request] is the commit that is built. The context goes to the builder as
//     LLB, never as a URL, and never in a form that follows a branch.
//   - The credential is available to the fetch of that commit only. It is out of reach before the
//     Dockerfile frontend runs.
//   - A tree with content that is not allowed is refused before the frontend runs.
//   - A fetch, a step or a transfer that makes no progress for [Request.StallAfter] is cancelled,
//     as is a build that takes longer than [Request.Timeout].
//   - Errors and statuses contain neither the credential nor control characters.
//
// It does not guarantee:
//   - that the image in the store is the image that was built. The caller must verify it by the
//     digests in the [Result].
//   - that two builds of a commit give the same image. The Dockerfile decides on that.
//   - that a hanging export or unpacking is noticed. Neither reports progress.
//   - how the builder reaches the network, which the builder's own settings decide.
//
// It knows no template names, modes, records or tags.
package buildkit
