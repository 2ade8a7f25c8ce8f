// Package daemon runs a BuildKit of Pinion's own for those who have neither a Docker engine nor a
// builder: the managed BuildKit. It starts when somebody needs it, serves all commands of its user,
// and ends by itself when it is idle.
//
// A [Manager] promises that at most one daemon works on a state root, however many commands start
// at once; that the daemon outlives the command that started it; that a daemon of another version
// of Pinion is replaced as soon as it builds nothing; and that nothing which the daemon started or
// mounted is left when it ends, whatever ended it. The last is the kernel's doing: the daemon has
// process and mount namespaces of its own, and with the first process in them all others and all
// mounts go. What lies on the disk is BuildKit's, which survives being killed; the next start
// sweeps up what builds left behind.
//
// It does not guarantee that the daemon outlives its surroundings: an init system that ends all
// processes of a service ends it as well, and the next command starts another.
//
// This package links no builder. The daemon is the program pinion-buildkitd (package serve), which
// lies beside pinion, since linking it would make each start of pinion pay for it. Both need Linux
// and root.
package daemon
