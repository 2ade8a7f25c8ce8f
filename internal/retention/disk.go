package retention

import (
	"context"
	"os"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/internal/diskspace"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// Disk is a file system.
type Disk struct {
	// Path is a folder on it.
	Path string
	// HasImages reports whether the images lie there. Otherwise the disk of the engine cannot be
	// seen from here, and this is that of the cache folder.
	HasImages bool
	diskspace.Space
}

// FindDisk finds and measures the file system where the images lie. The error is of kind
// [imagestore.ErrStore], or that of the measurement.
func (c Config) FindDisk(ctx context.Context) (d Disk, err error) {
	info, err := c.Store.Info(ctx)
	if err != nil {
		return d, imagestore.StoreFailure(err)
	}
	d.Path = c.Dir.Path()
	if d.HasImages = IsHere(c.Store.Endpoint(), info); d.HasImages {
		d.Path = info.RootDir
	}
	d.Space, err = c.Measure(d.Path)
	return d, err
}

// IsHere reports whether the images of a store are on a file system of this machine.
func IsHere(endpoint string, info imagestore.EngineInfo) bool {
	_, err := os.Stat(info.RootDir)
	return info.Kind == imagestore.KindOCI || err == nil && strings.HasPrefix(endpoint, "unix://")
}

// crowded returns what reports whether the images' disk has too much in use. If that is not known,
// it has not.
func (s *Survey) crowded(ctx context.Context, p Policy) func() bool {
	never := func() bool { return false }
	if p.MaxDiskUse == 0 {
		return never
	}
	d, err := s.FindDisk(ctx)
	if err != nil || !d.HasImages {
		return never
	}
	return func() bool {
		space, err := s.Measure(d.Path)
		excess := space.Excess(p.MaxDiskUse)
		if p.DryRun {
			excess -= s.reclaimed()
		}
		return err == nil && excess > 0
	}
}

// BoundCaches returns what the build caches may take at most, in bytes: less than most if their
// disk has too much in use.
func (s *Survey) BoundCaches(p Policy, most int64) int64 {
	if p.MaxDiskUse == 0 {
		return most
	}
	space, err := s.Measure(s.Dir.Path())
	_, size, unread := s.Dir.BuildCaches()
	if excess := space.Excess(p.MaxDiskUse); err == nil && unread == nil && excess > 0 {
		return min(most, max(size-excess, 1))
	}
	return most
}
