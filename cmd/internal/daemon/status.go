package daemon

import "time"

// Status describes the managed BuildKit.
type Status struct {
	Running bool `json:"running"`
	// Root is the folder of its state, and Log its log file. Both are set even if it is not
	// running.
	Root string `json:"root"`
	Log  string `json:"log"`
	// Process is nil if it is not running.
	Process *Process `json:"process,omitempty"`
}

// Process is a running daemon.
type Process struct {
	PID int `json:"pid"`
	// Address in BuildKit's form, for BUILDKIT_HOST and `buildctl --addr`.
	Address string `json:"address"`
	// Version of Pinion, and of the BuildKit in it.
	Version     string    `json:"version"`
	BuildKit    string    `json:"buildkit"`
	Snapshotter string    `json:"snapshotter"`
	Started     time.Time `json:"started"`
	// Uptime in whole seconds.
	Uptime int64 `json:"uptime_s"`
	// DiskUsage is the size of the build cache in bytes, as BuildKit counts it. KeepStorage is the
	// size to which garbage collection trims it.
	DiskUsage   int64 `json:"disk_usage"`
	KeepStorage int64 `json:"keep_storage"`
	// IdleExit is the idle time after which it exits, in seconds. 0 means never.
	IdleExit     int64 `json:"idle_exit_s"`
	ActiveBuilds int   `json:"active_builds"`
	// Stopping is set when it refuses new builds.
	Stopping bool `json:"stopping,omitempty"`
}

func newProcess(pid int, addr string, r Report, disk int64) *Process {
	return &Process{
		PID: pid, Address: addr, Version: r.Version, BuildKit: r.BuildKit,
		Snapshotter: r.Snapshotter,
		Started:     r.Started, Uptime: int64(time.Since(r.Started).Seconds()),
		DiskUsage: disk, KeepStorage: r.KeepStorage, IdleExit: int64(r.IdleExit.Seconds()),
		ActiveBuilds: r.ActiveBuilds, Stopping: r.Stopping,
	}
}

// Prune selects the build cache to remove.
type Prune struct {
	// All includes BuildKit's internal cache, such as the images of frontends.
	All bool
	// KeepStorage is the size in bytes to keep. 0 keeps nothing.
	KeepStorage int64
	// OlderThan keeps entries that were used within that time. 0 keeps none.
	OlderThan time.Duration
}
