// Package watch follows the heads of templates' branches and builds new commits before a caller
// requests them.
//
// It guarantees that
//   - each repository and branch is looked up by one request at a time, however many templates use
//     it and however often a webhook reports a push;
//   - a template has at most one build of the watcher at a time: a head that moves while the build
//     is queued replaces it, and a head that moves while the build runs is built after it.
//
// It does not guarantee that every commit is built, nor when. A commit that it misses is built when
// a caller requests it.
package watch
