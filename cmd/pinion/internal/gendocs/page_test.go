package main

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli"
)

var update = flag.Bool("update", false, "write the golden files")

func small() *cobra.Command {
	run := func(*cobra.Command, []string) {}
	root := &cobra.Command{Use: "tool", Short: "A tool", Long: "A tool\n  with layout", Run: run}
	root.PersistentFlags().StringP("host", "H", "", "`endpoint` of a | b")
	sub := &cobra.Command{Use: "make [flags] NAME", Short: "Make things",
		Example: "  tool make a\n  tool make b", Run: run}
	sub.Flags().String("format", "text", "output `format`")
	sub.Flags().Bool("force", false, "always")
	hidden := &cobra.Command{Use: "hidden", Hidden: true, Run: run}
	topic := &cobra.Command{Use: "topic", Short: "About things", Long: "All about things"}
	root.AddCommand(sub, hidden, topic)
	return root
}

func read(t *testing.T, dir string) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, p := range paths {
		text, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(p)] = string(text)
	}
	return files
}

func TestPages(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"tool_gone.md": "a verb that is gone",
		"README.md": "not ours"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if *update {
		if err := write(small(), "testdata"); err != nil {
			t.Fatal(err)
		}
	}
	if err := write(small(), dir); err != nil {
		t.Fatal(err)
	}
	got, want := read(t, dir), read(t, "testdata")
	if got["README.md"] != "not ours" {
		t.Error("a file with another name was changed")
	}
	delete(got, "README.md")
	if !maps.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

func TestEveryVerbHasAPageAndTheSameOneTwice(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	for _, dir := range []string{one, two} {
		if err := write(cli.Command(), dir); err != nil {
			t.Fatal(err)
		}
	}
	got := read(t, one)
	if !maps.Equal(got, read(t, two)) {
		t.Error("two runs differ")
	}
	want := strings.Fields(`pinion.md pinion_bake.md pinion_builder.md pinion_builder_logs.md
		pinion_builder_prune.md pinion_builder_status.md pinion_builder_stop.md pinion_builds.md
		pinion_builds_cancel.md pinion_builds_logs.md pinion_builds_ls.md pinion_builds_retry.md
		pinion_builds_show.md pinion_builds_stats.md pinion_completion.md pinion_config.md
		pinion_config_check.md pinion_config_schema.md pinion_doctor.md pinion_du.md
		pinion_ensure.md pinion_exit-codes.md pinion_logs.md pinion_ls.md pinion_page.md
		pinion_prune.md pinion_reset.md pinion_resolve.md pinion_run.md pinion_serve.md
		pinion_token.md pinion_version.md`)
	if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, want) {
		t.Errorf("got %v", names)
	}
}
