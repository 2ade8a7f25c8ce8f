// Package daemon runs the managed BuildKit, for users with neither a Docker engine nor a builder.
// It starts on demand, serves all commands of its user, and exits when it is idle.
//
// A [Manager] guarantees that
//   - at most one daemon works on a state root, however many commands start at once;
//   - the daemon outlives the command that started it;
//   - a daemon of another version of Pinion is replaced as soon as it builds nothing;
//   - no process and no mount of the daemon remains when it ends, even if it is killed.
//
// The kernel provides the last one. The daemon has its own process and mount namespaces, and when
// their first process ends, so do all others and all mounts. The files on disk are BuildKit's,
// which tolerates being killed; the next start removes the leftovers of builds.
//
// It does not guarantee that the daemon outlives its environment. An init system that ends all
// processes of a service also ends the daemon; the next command starts another.
//
// This package links no builder. The daemon is the program pinion-buildkitd (package serve), which
// is installed beside pinion, since linking it would slow down each start of pinion. Both require
// Linux and root.
package daemon
