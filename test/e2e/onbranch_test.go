package e2e_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/resolver"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// TestFault12_OnTheBranchByGitItself: a server without an API that is known shows by git's protocol
// what is on a branch.
func TestFault12_OnTheBranchByGitItself(t *testing.T) {
	for _, format := range []parts.ObjectFormat{parts.SHA1, parts.SHA256} {
		server, objects := branchy(t, format)
		for name, habits := range map[string]parts.GitHabits{
			"version 2": {}, "version 0": {OldProtocol: true}, "without unborn": {NoUnborn: true},
			"without .git": {NoSuffix: true},
		} {
			server.SetHabits(habits)
			for what, on := range map[string]bool{
				"head": true, "parent": true, "root": true, "merged": true,
				"beyond the head": false, "of another branch": false, "of another history": false,
				"tag object": false, "tree": false, "blob": false, "nothing": false,
			} {
				t.Run(fmt.Sprint(format, "/", name, "/", what), func(t *testing.T) {
					rev, err := git.ParseRevision(objects[what])
					if err != nil {
						t.Fatal(err)
					}
					remote, err := git.ParseRemote(server.RepoURL("r"))
					if err != nil {
						t.Fatal(err)
					}
					head, err := resolver.NewClient(nil).OnBranch(t.Context(), remote, git.HEAD,
						rev, resolver.Dialect{})
					switch {
					case on && (err != nil || head.Revision != rev):
						t.Errorf("got %v, %v", head, err)
					case !on && !errors.Is(err, resolver.ErrNotOnBranch):
						t.Errorf("got %v, %v, want it refused", head, err)
					}
				})
			}
		}
	}
}

// branchy makes a repository, and returns objects of it.
func branchy(t *testing.T, format parts.ObjectFormat) (*parts.GitHTTP, map[string]string) {
	t.Helper()
	server := partstest.GitHTTP(t)
	if err := server.CreateRepo(t.Context(), "r", format); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		out, err := server.Git(t.Context(), "r", append([]string{"-c", "user.name=t", "-c",
			"user.email=t@example.com"}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(out)
	}
	push := func(branch string) string {
		t.Helper()
		sha, err := server.Push(t.Context(), "r", parts.Commit{Branch: branch,
			Files: parts.Files(map[string]string{"a": branch, "d/b": branch})})
		if err != nil {
			t.Fatal(err)
		}
		return sha
	}
	o := map[string]string{}
	o["root"] = push("main")
	o["tree"] = run("rev-parse", o["root"]+"^{tree}")
	o["blob"] = run("rev-parse", o["root"]+":a")
	commit := func(parents ...string) string {
		args := []string{"commit-tree", "-m", strings.Join(parents, " "), o["tree"]}
		for _, p := range parents {
			args = append(args, "-p", p)
		}
		return run(args...)
	}
	o["merged"] = commit(o["root"])
	o["parent"] = commit(o["root"], o["merged"])
	o["head"] = commit(o["parent"])
	o["beyond the head"] = commit(o["head"])
	o["of another branch"] = commit(o["parent"], o["root"])
	o["of another history"] = commit()
	o["nothing"] = strings.Repeat("ab", len(o["root"])/2)
	run("update-ref", "refs/heads/main", o["head"])
	for i, name := range []string{"beyond the head", "of another branch", "of another history"} {
		run("update-ref", fmt.Sprint("refs/heads/other-", i), o[name])
	}
	run("tag", "-a", "-m", "v1", "v1", o["root"])
	o["tag object"] = run("rev-parse", "refs/tags/v1")
	return server, o
}
