package e2e_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// latin1 is a file name that is not UTF-8.
const latin1 = "caf\xe9.txt"

// TestNamesThatAreNotUTF8 are built, wherever they are: in the repository's root, beside the build
// context, in a folder, in the image, and in a working tree.
func TestNamesThatAreNotUTF8(t *testing.T) {
	onCells(t, allCells(), func(t *testing.T, c cell) {
		s := newScene(t, c)
		lines := []string{"COPY . /context", `RUN touch "$(printf '/made\351')"`,
			`CMD ls -d /context/caf*.txt /context/deep/caf*.txt /made* 2>/dev/null | wc -l`}
		files := append(busybox(t, lines...), parts.Text(latin1, "x"),
			parts.Text("deep/"+latin1, "x"))
		tmpl := s.template(t, runtime, parts.RepoOptions{})
		tmpl.push(t, files...)
		img := s.ensure(t, pinion.OutcomeBuilt)
		if out := s.runContainer(t, img.ID); out != "3\n" {
			t.Errorf("the container finds %q", out)
		}
		s.wantImage(t, img)

		// A Docker engine of today refuses such names in what is uploaded.
		at := pinion.AtPath(workingTree(t, files...))
		if !c.standalone && c.store != parts.Docker20 {
			_, err := s.try(t, at)
			if !errors.Is(err, pinion.ErrRefused) ||
				!strings.Contains(err.Error(), `"caf\xe9.txt"`) {
				t.Errorf("the working tree: %v", err)
			}
		} else if out := s.runContainer(t, s.ensure(t, pinion.OutcomeBuilt, at).ID); out != "3\n" {
			t.Errorf("the container of the working tree finds %q", out)
		}

		// Beside a context that is a folder of the repository, and with an ignore file.
		config := filepath.Join(t.TempDir(), "config.yaml")
		write(t, config, "templates:\n  - {name: "+runtime+", subdir: sub}\n", 0o600)
		var moved []parts.File
		for _, f := range append(files, parts.Text(".dockerignore", "deep\n*.md\n!x.md\n")) {
			f.Path = "sub/" + f.Path
			moved = append(moved, f)
		}
		tmpl.push(t, append(moved, parts.Text(latin1, "y"))...)
		sub := s.with("PINION_CONFIG", config).ensure(t, pinion.OutcomeBuilt)
		if out := s.runContainer(t, sub.ID); out != "2\n" {
			t.Errorf("the container of the subdir finds %q", out)
		}
	})
}
