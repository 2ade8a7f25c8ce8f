package house

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestClientNeedsNothing holds that a program with an older Go can use the client and gets no other
// module by it.
func TestClientNeedsNothing(t *testing.T) {
	run := func(args ...string) []byte {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = filepath.Join(top(t), "client")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go %s: %v", strings.Join(args, " "), err)
		}
		return out
	}
	var mod struct {
		Module           struct{ Path string }
		Go               string
		Require, Replace []any
	}
	if err := json.Unmarshal(run("mod", "edit", "-json"), &mod); err != nil {
		t.Fatal(err)
	}
	if mod.Module.Path != module+"/client" || mod.Go != "1.24" || len(mod.Require) > 0 ||
		len(mod.Replace) > 0 {
		t.Errorf("go.mod of the client: %+v", mod)
	}
	deps := run("list", "-deps", "-test",
		"-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "./...")
	for _, path := range strings.Fields(string(deps)) {
		if !strings.Contains(path, module+"/client") && !strings.HasPrefix(path, "[") {
			t.Errorf("the client links %s", path)
		}
	}
}
