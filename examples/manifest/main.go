// Command manifest reads the platform's manifest.json from stdin and prints a config file of Pinion
// with the same templates, each pinned to the manifest's commit:
//
//	go run ./examples/manifest < manifest.json > ~/.config/pinion/config.yaml
//	pinion config check
//
// A template has the name of its repository without the platform's prefix, so an entry for a
// built-in one pins that. A ref that is no commit is taken for a branch.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// repoPrefix is what the names of the platform's template repositories begin with.
const repoPrefix = "molecule-ai-workspace-template-"

// manifest is the part of manifest.json that is about templates.
type manifest struct {
	Templates []struct {
		Repo     string `json:"repo"` // owner/name
		Ref      string `json:"ref"`
		Provider string `json:"provider"` // moleculesai, the default, or github
	} `json:"workspace_templates"`
}

func main() {
	if err := convert(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "manifest:", err)
		os.Exit(1)
	}
}

func convert(in io.Reader, out io.Writer) error {
	var m manifest
	if err := json.NewDecoder(in).Decode(&m); err != nil {
		return err
	}
	hosts := map[string]string{"": "git.moleculesai.app", "moleculesai": "git.moleculesai.app",
		"github": "github.com"}
	var text strings.Builder
	text.WriteString("templates:\n")
	for _, t := range m.Templates {
		host, ok := hosts[t.Provider]
		if !ok {
			return fmt.Errorf("%s has the unknown provider %q", t.Repo, t.Provider)
		}
		key := "branch"
		if _, err := git.ParseRevision(t.Ref); err == nil {
			key = "revision"
		}
		// Quoted as in Go, plain names are YAML too, and pinion config check refuses all others.
		fmt.Fprintf(&text, "  - name: %q\n    repo: %q\n    %s: %q\n",
			strings.TrimPrefix(path.Base(t.Repo), repoPrefix), "https://"+host+"/"+t.Repo,
			key, t.Ref)
	}
	_, err := io.WriteString(out, text.String())
	return err
}
