package diskspace_test

import (
	"runtime"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/diskspace"
)

func TestSpace(t *testing.T) {
	for _, c := range []struct {
		space  diskspace.Space
		use    float64
		excess int64 // over 80 %
	}{
		{diskspace.Space{Free: 100, Total: 1000}, 0.9, 100},
		{diskspace.Space{Free: 200, Total: 1000}, 0.8, 0},
		{diskspace.Space{Free: 1000, Total: 1000}, 0, 0},
		{diskspace.Space{}, 0, 0},
	} {
		if got := c.space.Use(); got != c.use {
			t.Errorf("%+v: %v in use", c.space, got)
		}
		if got := c.space.Excess(0.8); got != c.excess {
			t.Errorf("%+v: excess %d", c.space, got)
		}
	}
}

func TestOf(t *testing.T) {
	s, err := diskspace.Of(t.TempDir())
	if runtime.GOOS == "windows" {
		if err == nil {
			t.Errorf("%+v", s)
		}
		return
	}
	if err != nil || s.Free <= 0 || s.Free > s.Total {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := diskspace.Of(t.TempDir() + "/missing"); err == nil {
		t.Errorf("%+v", s)
	}
}
