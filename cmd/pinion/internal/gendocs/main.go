// Command gendocs writes the reference into a folder: of the command line, one Markdown file a
// verb, and of the server's interface, openapi.yaml:
//
//	go run ./cmd/pinion/internal/gendocs docs/reference
//
// The same commands give the same bytes, wherever and whenever it runs. Pages of verbs that are
// gone are removed.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/server"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gendocs FOLDER")
		os.Exit(64)
	}
	err := write(cli.Command(), os.Args[1])
	if err == nil {
		// documentation
		err = os.WriteFile(filepath.Join(os.Args[1], "openapi.yaml"), server.OpenAPI,
			0o644) //nolint:gosec
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gendocs:", err)
		os.Exit(1)
	}
}

// write makes the folder hold the pages of root and of what is below it, and no other pages of
// ours.
func write(root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // documentation
		return err
	}
	wanted := map[string]bool{}
	for _, cmd := range tree(root) {
		path := filepath.Join(dir, fileName(cmd))
		wanted[path] = true
		// documentation
		if err := os.WriteFile(path, []byte(page(cmd)), 0o644); err != nil { //nolint:gosec
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
