// Package reread keeps what a program has read from files, and reads it again when they change.
package reread

import (
	"os"
	"slices"
	"sync"
	"time"
)

// pause is the time between two looks at the files.
const pause = 2 * time.Second

// Value is what was read. [New] makes one.
type Value[T any] struct {
	load   func() (T, error)
	report func(error)
	paths  []string

	mu     sync.Mutex
	now    T
	stamps []stamp
	looked time.Time
}

// stamp tells versions of a file apart.
type stamp struct {
	size     int64
	modified time.Time
}

// New reads files by load. A file that is wrong later costs one call of report, and what was read
// before stays in force.
func New[T any](load func() (T, error), report func(error), paths ...string) (*Value[T], error) {
	v := &Value[T]{load: load, report: report, paths: paths}
	v.stamps, v.looked = v.look(), time.Now()
	var err error
	v.now, err = load()
	return v, err
}

// Get returns what the files have. It looks at them every few seconds.
func (v *Value[T]) Get() T {
	v.mu.Lock()
	defer v.mu.Unlock()
	if time.Since(v.looked) < pause {
		return v.now
	}
	v.looked = time.Now()
	if stamps := v.look(); !slices.Equal(stamps, v.stamps) {
		v.stamps = stamps
		if next, err := v.load(); err != nil {
			v.report(err)
		} else {
			v.now = next
		}
	}
	return v.now
}

func (v *Value[T]) look() (stamps []stamp) {
	for _, path := range v.paths {
		var s stamp
		if info, err := os.Stat(path); err == nil {
			s = stamp{info.Size(), info.ModTime()}
		}
		stamps = append(stamps, s)
	}
	return stamps
}
