package docker

import "time"

// stallAfter bounds the time in which an engine that pulls from this machine neither takes a byte
// nor reports progress. While it unpacks, it reports the seconds (moby,
// daemon/containerd/progress.go).
const stallAfter = 20 * time.Second
