package house

import (
	"os/exec"
	"strings"
	"testing"
)

// TestInstallIntoTheHomeFolder has the ~ that some shells do not expand.
func TestInstallIntoTheHomeFolder(t *testing.T) {
	program, err := exec.LookPath("make")
	if err != nil {
		t.Skip("make is not installed")
	}
	for _, target := range []string{"install", "uninstall"} {
		cmd := exec.CommandContext(t.Context(), program, "--dry-run", target, "PREFIX=~/.local",
			"HOME=/home/of me")
		cmd.Dir = top(t)
		out, err := cmd.CombinedOutput()
		if err != nil || strings.Contains(string(out), "~") ||
			!strings.Contains(string(out), "'/home/of me/.local/bin") {
			t.Errorf("%v\n%s", err, out)
		}
	}
}
