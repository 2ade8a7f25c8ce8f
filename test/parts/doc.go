// Package parts starts the real components that Pinion works with: Gitea, buildkitd, Docker
// engines, a registry and a plain git server.
//
// Every part lives in the folder it is given, listens on loopback or on a unix socket, and is ended
// by Close, which removes what the part made outside that folder (bridges, control groups). Daemons
// that mount things run in mount and process namespaces of their own, so the kernel takes their
// mounts and their children away however they end, also when the process that started them is
// killed. Parts of different processes run side by side.
//
// The context of a Start function bounds the start alone; a part runs until Close.
//
// The package reads no environment and needs no testing package, so programs (the demo, benchmarks)
// use it as well as tests; partstest joins it to a testing.TB. It does not install anything: what
// is missing is reported as ErrMissing or ErrNeedsRoot.
package parts
