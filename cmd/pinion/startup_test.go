package main

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// TestStartUp: what Pinion's packages initialise before main is paid by each hit, so it is next to
// nothing. A regular expression takes some hundred allocations.
func TestStartUp(t *testing.T) {
	const most = 60 // allocations of a package
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^$")
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	seen := 0
	for line := range strings.Lines(string(out)) {
		// init PACKAGE @0.1 ms, 0.02 ms clock, 512 bytes, 4 allocs
		words := strings.Fields(line)
		if len(words) != 11 || words[0] != "init" ||
			!strings.HasPrefix(words[1], "git.moleculesai.app/molecule-ai/pinion") {
			continue
		}
		seen++
		if n, err := strconv.Atoi(words[9]); err != nil || n > most {
			t.Errorf("%s: more than %d allocations", strings.TrimSpace(line), most)
		}
	}
	if seen < 5 {
		t.Errorf("%d packages of ours in\n%s", seen, out)
	}
}
