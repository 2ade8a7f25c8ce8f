package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// ofLayers is the Dockerfile of an image with so many layers.
func ofLayers(t *testing.T, n int) []parts.File {
	t.Helper()
	// The files of busybox are two layers.
	var lines []string
	for i := range n - 2 {
		lines = append(lines, fmt.Sprintf("COPY word /%d", i))
	}
	return append(busybox(t, append(lines, "CMD cat /1")...), parts.Text("word", "word"))
}

// TestManyLayers: an image with more layers than a container of this store can have is built, with
// a warning. One that the store does not take is the store's fault, with the reason.
func TestManyLayers(t *testing.T) {
	partstest.OnSomeDays(t)
	for _, c := range []struct {
		cell
		layers int
		runs   bool
		taken  bool
	}{
		{containerdOwn, 128, true, true}, {classicOwn, 127, true, true},
		{classicOwn, 128, false, true}, {oldOwn, 128, false, true},
		{classicStandalone, 128, false, false},
	} {
		t.Run(fmt.Sprintf("%s/%d", c.cell, c.layers), func(t *testing.T) {
			s := newScene(t, c.cell)
			s.template(t, runtime, parts.RepoOptions{}).push(t, ofLayers(t, c.layers)...)
			if !c.taken {
				s.fail(t, exitStore, []string{"more layers than", "join instructions"}, "ensure",
					runtime)
				return
			}
			img := parseImage(t, s.succeed(t, "ensure", runtime, "--format", "json"))
			warned := slices.ContainsFunc(img.Warnings, func(w string) bool {
				return strings.Contains(w, "has 128 layers and cannot be run here")
			})
			r := s.run(t, "run", runtime)
			if warned == c.runs || (r.code == 0) != c.runs {
				t.Errorf("warnings %q, and run exits with %d: %s", img.Warnings, r.code, r.stderr)
			}
		})
	}
}
