//go:build linux

package daemon_test

import (
	"os"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/daemon/serve"
)

// TestMain makes the test's binary the daemon's program too. Its version is the one that the
// manager passes, unless the first argument sets another.
func TestMain(m *testing.M) {
	args := os.Args[1:]
	own := ""
	if len(args) > 0 {
		if v, ok := strings.CutPrefix(args[0], "daemon-of-version="); ok {
			own, args = v, args[1:]
		}
	}
	if len(args) > 0 && strings.HasPrefix(args[0], "--stage=") {
		if own == "" {
			for _, a := range args {
				if v, ok := strings.CutPrefix(a, "--client-version="); ok {
					own = v
				}
			}
		}
		os.Exit(serve.Main(args, own))
	}
	os.Exit(m.Run())
}
