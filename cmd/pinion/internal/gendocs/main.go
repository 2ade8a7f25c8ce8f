// Command gendocs writes the generated documentation of the repository in a folder:
//
//	go run ./cmd/pinion/internal/gendocs .
//
// It writes docs/reference, which has one Markdown file for each verb and the server's
// openapi.yaml, and the table of environment variables in README.md and the guide. The same
// commands always give the same bytes. Pages of removed verbs are deleted.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/server"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/envdoc"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gendocs FOLDER")
		os.Exit(64)
	}
	if err := generate(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "gendocs:", err)
		os.Exit(1)
	}
}

// generate writes all generated documentation of the repository in root.
func generate(root string) error {
	reference := filepath.Join(root, "docs", "reference")
	if err := write(cli.Command(), reference); err != nil {
		return err
	}
	openapi := filepath.Join(reference, "openapi.yaml")
	//nolint:gosec // a document is for all to read
	if err := os.WriteFile(openapi, server.OpenAPI, 0o644); err != nil {
		return err
	}
	for _, path := range []string{"README.md", "docs/development/local-development.md"} {
		if err := insert(filepath.Join(root, filepath.FromSlash(path)), "env",
			envdoc.Markdown(envdoc.Variables())); err != nil {
			return err
		}
	}
	return nil
}

// write writes the pages of root and its subcommands into the folder, and removes other pages of
// root's name.
func write(root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // documentation
		return err
	}
	wanted := map[string]bool{}
	for _, cmd := range tree(root) {
		path := filepath.Join(dir, fileName(cmd))
		wanted[path] = true
		//nolint:gosec // a document is for all to read
		if err := os.WriteFile(path, []byte(page(cmd)), 0o644); err != nil {
			return err
		}
	}
	there, err := filepath.Glob(filepath.Join(dir, root.Name()+"*.md"))
	if err != nil {
		return err
	}
	for _, path := range there {
		if !wanted[path] {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	return nil
}
