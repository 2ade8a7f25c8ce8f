package daemon

import "time"

// Status is what there is to know of the managed BuildKit.
type Status struct {
	Running bool `json:"running"`
	// Root is the folder with its state, and Log the file with its log, running or not.
	Root string `json:"root"`
	Log  string `json:"log"`
	// Process is nil unless it runs.
	Process *Process `json:"process,omitempty"`
}

// Process is a daemon that runs.
type Process struct {
	PID int `json:"pid"`
	// Address in BuildKit's form, for BUILDKIT_HOST and `buildctl --addr`.
	Address string `json:"address"`
	// Version of Pinion; BuildKit is the version of BuildKit in it.
	Version     string    `json:"version"`
	BuildKit    string    `json:"buildkit"`
	Snapshotter string    `json:"snapshotter"`
	Started     time.Time `json:"started"`
	// Uptime in whole seconds.
	Uptime int64 `json:"uptime_s"`
	// DiskUsage is the build cache in bytes, by BuildKit's count; KeepStorage is what garbage
	// collection leaves.
	DiskUsage   int64 `json:"disk_usage"`
	KeepStorage int64 `json:"keep_storage"`
	// IdleExit is how many seconds it stays without work; 0 is for ever.
	IdleExit     int64 `json:"idle_exit_s"`
	ActiveBuilds int   `json:"active_builds"`
	// Stopping says that it takes no new builds.
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

// Prune says what to remove of the build cache.
type Prune struct {
	// All removes also what BuildKit keeps for itself, such as the frontends' images.
	All bool
	// KeepStorage is how many bytes to leave; 0 leaves none.
	KeepStorage int64
	// OlderThan leaves what has been used since; 0 leaves nothing for that.
	OlderThan time.Duration
}
