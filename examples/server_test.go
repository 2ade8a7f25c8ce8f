package examples_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSystemdUnit verifies the unit with systemd if it is installed.
func TestSystemdUnit(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	text, err := os.ReadFile("systemd/pinion.service")
	if err != nil {
		t.Fatal(err)
	}
	socket, err := os.ReadFile("systemd/pinion.socket")
	if err != nil {
		t.Fatal(err)
	}
	// Pinion may not be installed on this machine.
	dir := t.TempDir()
	installed := strings.Replace(string(text), "/usr/local/bin/pinion", "/bin/true", 1)
	for name, text := range map[string]string{"pinion.service": installed,
		"pinion.socket": string(socket)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"pinion.service", "pinion.socket"} {
		out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no",
			filepath.Join(dir, name)).CombinedOutput()
		if err != nil || strings.Contains(string(out), dir) {
			t.Errorf("%v\n%s", err, out)
		}
	}
	// The exposure is below 2.0 of 10.
	out, err := exec.CommandContext(t.Context(), analyze, "security", "--offline=true",
		"--threshold=20", filepath.Join(dir, "pinion.service")).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
