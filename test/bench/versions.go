package main

import (
	"context"
	"fmt"
	"maps"
	"os/exec"
	"regexp"
	"runtime"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// versionOf finds the version in what a program says of itself.
var versionOf = regexp.MustCompile(`\bv?(\d+\.\d+[\w.+~-]*)`)

// versions returns those of all programs, by name, and of the engines that were up.
func (s *stage) versions(ctx context.Context) map[string]string {
	all := map[string]string{"Go": strings.TrimPrefix(runtime.Version(), "go")}
	maps.Copy(all, s.engines)
	for name, args := range map[string][]string{
		"BuildKit": {parts.NameBuildkitd, "--version"}, "buildx": {"buildx", "version"},
		"Gitea": {"gitea", "--version"}, "Docker's client": {"docker", "--version"},
		"Git": {"git", "--version"}, "curl": {"curl", "--version"},
	} {
		path, err := parts.Locate(args[0])
		if err != nil {
			continue // the table has a dash
		}
		out, err := exec.CommandContext(ctx, path, args[1:]...).Output()
		if found := versionOf.FindSubmatch(out); err == nil && found != nil {
			all[name] = strings.TrimRight(string(found[1]), ",.")
		}
	}
	return all
}

// commitHere names the commit of the source tree, and says if files differ from it.
func commitHere(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--exclude=*",
		"--abbrev=10", "--dirty").Output()
	if err != nil {
		return "", fmt.Errorf("ask git for the commit: %w%s", err, stderrOf(err))
	}
	return strings.TrimSpace(string(out)), nil
}
