// Package history keeps what was built and found on this machine: who asked, how it ended, the
// receipt, the steps and the log.
//
// A process that builds writes each event into a journal of the build, a file of its own, and each
// hit as one line into a file that all processes share. Neither opens the database. Whoever reads,
// and a server from time to time, moves what has ended from those files into the database.
//
// It guarantees that no build or hit waits for the history or fails because of it: a full disk or a
// broken file costs the history alone. A process that is killed leaves a journal with all events up
// to then. It does not guarantee that a line survives a power failure.
package history
