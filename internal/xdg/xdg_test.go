package xdg_test

import (
	"path/filepath"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/xdg"
)

func TestFolders(t *testing.T) {
	home, base := t.TempDir(), t.TempDir()
	for name, c := range map[string]struct {
		env           map[string]string
		config, cache string
	}{
		"home": {map[string]string{"HOME": home},
			filepath.Join(home, ".config", "a", "b"), filepath.Join(home, ".cache", "a", "b")},
		"profile": {map[string]string{"USERPROFILE": home},
			filepath.Join(home, ".config", "a", "b"), filepath.Join(home, ".cache", "a", "b")},
		"base folders": {map[string]string{"HOME": home, "XDG_CONFIG_HOME": base,
			"XDG_CACHE_HOME": base}, filepath.Join(base, "a", "b"), filepath.Join(base, "a", "b")},
		"relative base folders": {map[string]string{"HOME": home, "XDG_CONFIG_HOME": "x",
			"XDG_CACHE_HOME": "x"},
			filepath.Join(home, ".config", "a", "b"), filepath.Join(home, ".cache", "a", "b")},
		"no home": {nil, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			lookup := func(name string) (string, bool) { v, ok := c.env[name]; return v, ok }
			if got := xdg.ConfigFile(lookup, "a", "b"); got != c.config {
				t.Errorf("the configuration is at %q, want %q", got, c.config)
			}
			if got := xdg.CacheDir(lookup, "a", "b"); got != c.cache {
				t.Errorf("the cache is at %q, want %q", got, c.cache)
			}
		})
	}
}
