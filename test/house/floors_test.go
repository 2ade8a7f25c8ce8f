package house

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// floors lists the packages from the bottom to the top. A package may import those of the floors
// below its own, and none of its own floor or above. docs/design.md has the picture.
var floors = [][]string{
	{"internal/lazy"},
	{ // leaves
		"internal/diskspace", "internal/errdef", "internal/errtext", "internal/failpoint",
		"internal/feed", "internal/filelock", "internal/fileowner", "internal/flight",
		"internal/limit", "internal/queue", "internal/redact", "internal/span", "internal/stall",
		"internal/stdio", "internal/termtext", "internal/transfer", "internal/xdg", "resolver/git",
	},
	{"resolver/arg"},
	{"buildkit", "buildkit/buildx", "cache", "resolver"},
	{"internal/heartbeat", "internal/imagestore", "internal/recipe"},
	{"internal/inspection", "internal/registry"},
	{"internal/imagestore/docker", "internal/imagestore/layout", "internal/imagestore/storetest"},
	{"internal/builder"},
	{"internal/publish", "internal/verify"},
	{"internal/buildcache", "internal/retention"},
	{"."},
	{
		"cmd/internal/access", "cmd/internal/buildversion", "cmd/internal/container",
		"cmd/internal/daemon", "cmd/internal/detached",
		"cmd/internal/exitcode", "cmd/internal/history", "cmd/internal/outbox",
		"cmd/internal/page", "cmd/internal/reread", "cmd/internal/schema",
		"cmd/internal/stdwebhooks", "cmd/internal/telemetry", "cmd/internal/terminal",
	},
	{
		"cmd/internal/daemon/serve", "cmd/internal/forge", "cmd/internal/notify",
		"cmd/internal/server",
	},
	{"cmd/internal/pulls", "cmd/internal/tidy", "cmd/internal/watch"},
	{
		"cmd/pinion/internal/cli/envdoc", "cmd/pinion/internal/cli/flags",
		"cmd/pinion/internal/cli/output", "cmd/pinion/internal/cli/remote",
	},
	{"cmd/pinion/internal/cli"},
	{
		"cmd/pinion", "cmd/pinion-buildkitd", "cmd/pinion/internal/gendocs", "cmd/servetest",
		"examples", "examples/library", "examples/manifest", "examples/notify",
		"examples/workspace-server",
	},
	{
		"test/bench/launcher", "test/bench/stats", "test/compat", "test/demo/hello",
		"test/disktest", "test/house", "test/parts",
	},
	{"test/bench/history", "test/parts/partstest"},
	{"test/bench/page"},
	{"test/bench", "test/demo", "test/e2e", "test/partscheck", "test/scale"},
}

// graph maps a package to the packages of the module that it imports, all as paths below the
// module's.
type graph map[string][]string

func TestFloors(t *testing.T) {
	g := graph{}
	for _, goos := range []string{"linux", "darwin", "windows"} {
		g.read(t, goos)
	}
	for _, fault := range faults(g, floors) {
		t.Error(fault)
	}
}

func TestFaults(t *testing.T) {
	plan := [][]string{{"leaf", "other"}, {"room"}, {"."}}
	for name, test := range map[string]struct {
		graph graph
		want  string
	}{
		"down":        {graph{"leaf": nil, "room": {"leaf"}, ".": {"room", "leaf"}}, ""},
		"up":          {graph{"room": {"."}, ".": nil}, "room imports ., not below it"},
		"from a leaf": {graph{"leaf": {"room"}, "room": nil}, "leaf imports room, not below it"},
		"same floor":  {graph{"leaf": {"other"}}, "leaf imports other, not below it"},
		"no floor":    {graph{"new": nil}, "new has no floor in test/house/floors_test.go"},
		"on no floor": {graph{"room": {"new"}}, "room imports new, which has no floor"},
	} {
		if got := strings.Join(faults(test.graph, plan), "; "); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

// faults lists the imports that do not point down, and the packages without a floor.
func faults(g graph, floors [][]string) []string {
	floor := map[string]int{}
	for i, packages := range floors {
		for _, name := range packages {
			floor[name] = i
		}
	}
	var out []string
	for name, imports := range g {
		own, ok := floor[name]
		if !ok {
			out = append(out, name+" has no floor in test/house/floors_test.go")
			continue
		}
		for _, imported := range imports {
			switch below, ok := floor[imported]; {
			case !ok:
				out = append(out, fmt.Sprintf("%s imports %s, which has no floor", name, imported))
			case below >= own:
				out = append(out, fmt.Sprintf("%s imports %s, not below it", name, imported))
			}
		}
	}
	slices.Sort(out)
	return out
}

// read adds the module's packages with their imports, as they are on an operating system. It leaves
// test files out.
func (g graph) read(t *testing.T, goos string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = top(t)
	cmd.Env = append(os.Environ(), "GOOS="+goos, "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var pkg struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&pkg); err == io.EOF {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		name, _ := below(pkg.ImportPath)
		if _, ok := g[name]; !ok {
			g[name] = nil
		}
		for _, imported := range pkg.Imports {
			if ours, ok := below(imported); ok && !slices.Contains(g[name], ours) {
				g[name] = append(g[name], ours)
			}
		}
	}
}

// below returns a package's path below the module's, and whether it is one of the module.
func below(importPath string) (string, bool) {
	if importPath == module {
		return ".", true
	}
	return strings.CutPrefix(importPath, module+"/")
}
