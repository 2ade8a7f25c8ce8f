// Package watch follows the heads of templates' branches and has what moved built before anybody
// waits for it.
//
// Each repository and branch is asked for by one request at a time, however many templates live on
// it and however often a webhook says that something was pushed. A template has one build of the
// watcher's at a time: a head that moves while the build queues takes its place, and one that moves
// while it runs is built after it.
//
// It promises neither that every commit is built nor when: what it misses is built when it is asked
// for.
package watch
