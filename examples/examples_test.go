// Package examples_test runs the examples as their comments describe.
package examples_test

import (
	"os"
	"os/exec"
	"slices"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

func TestLibrary(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "run", "./library", "claude-code", "hermes")
	cmd.Env = append(os.Environ(), "MOLECULE_IMAGE_REGISTRY=registry.example.com/molecule",
		"PINION_CONFIG=catalogue/config.yaml")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := "registry.example.com/molecule/workspace-template-claude-code:latest\n" +
		"registry.example.com/molecule/workspace-template-hermes:latest\n"
	if string(out) != want {
		t.Errorf("printed %q, want %q", out, want)
	}
}

func TestCatalogue(t *testing.T) {
	c, err := resolver.NewCatalogue(resolver.DefaultRepoPrefix)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.AddFile("catalogue/config.yaml"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"scratchpad", "data-lab", "claude-code"} {
		if !slices.Contains(c.Names(), name) {
			t.Errorf("%s is not among %v", name, c.Names())
		}
	}
	lab, err := c.Template("data-lab")
	if err != nil || lab.Image != "data-lab" || lab.Ref.Branch() != "release" ||
		lab.Platform != "linux/arm64" {
		t.Errorf("%+v, %v", lab, err)
	}
}
