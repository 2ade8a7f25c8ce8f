package parts_test

import (
	"net/http"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

func TestGitea(t *testing.T) {
	g := partstest.Gitea(t)
	owner, err := g.CreateUser(t.Context(), "owner")
	if err != nil {
		t.Fatal(err)
	}
	if err := g.CreateOrganization(t.Context(), "molecule-ai"); err != nil {
		t.Fatal(err)
	}
	repo, err := g.CreateRepo(t.Context(), "molecule-ai", "public", parts.RepoOptions{})
	if err != nil {
		t.Fatal(err)
	}
	first := push(t, g, repo,
		parts.Commit{Files: parts.Files(map[string]string{"Dockerfile": "FROM scratch\n"})})
	if got := tip(t, g, repo, "main"); got != first {
		t.Errorf("tip = %s, want the pushed %s", got, first)
	}
	second := push(t, g, repo,
		parts.Commit{Files: []parts.File{parts.Program("run", []byte("x")),
			parts.Link("l", "run")}})
	if second == first {
		t.Error("two pushes gave one commit")
	}
	if err := g.Force(t.Context(), repo, "main", first); err != nil {
		t.Fatal(err)
	}
	if got := tip(t, g, repo, "main"); got != first {
		t.Errorf("tip = %s, want it forced back to %s", got, first)
	}
	if tag, err := g.Tag(t.Context(), repo, "v1", first); err != nil || tag == first {
		t.Errorf("Tag = %q, %v; want the hash of a tag object", tag, err)
	}
	private, err := g.CreateRepo(t.Context(), owner.Name, "private",
		parts.RepoOptions{Private: true})
	if err != nil {
		t.Fatal(err)
	}
	push(t, g, private, parts.Commit{Files: parts.Files(map[string]string{"a": "b"})})
	token, err := g.CreateToken(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, token string
		want        int
	}{{"without a token", "", http.StatusUnauthorized}, {"with a token", token, http.StatusOK}} {
		if got := discovery(t, g.RepoURL(private), tc.token); got != tc.want {
			t.Errorf("fetching a private repository %s: %d, want %d", tc.name, got, tc.want)
		}
	}
}

func TestGiteaMovesThings(t *testing.T) {
	g := partstest.Gitea(t)
	repo, err := g.CreateRepo(t.Context(), parts.Admin, "old", parts.RepoOptions{})
	if err != nil {
		t.Fatal(err)
	}
	first := push(t, g, repo, parts.Commit{Files: parts.Files(map[string]string{"a": "1"})})
	if repo, err = g.Rename(t.Context(), repo, "new"); err != nil {
		t.Fatal(err)
	}
	side := push(t, g, repo, parts.Commit{Branch: "side", From: "main",
		Files: parts.Files(map[string]string{"a": "2"})})
	if err := g.SetDefaultBranch(t.Context(), repo, "side"); err != nil {
		t.Fatal(err)
	}
	if got := tip(t, g, repo, "side"); got != side {
		t.Errorf("tip of side = %s, want %s", got, side)
	}
	if err := g.CreateBranch(t.Context(), repo, "other", "main"); err != nil {
		t.Fatal(err)
	}
	if got := tip(t, g, repo, "other"); got != first {
		t.Errorf("tip of other = %s, want %s", got, first)
	}
	for _, step := range []error{
		g.DeleteBranch(t.Context(), repo, "other"),
		g.SetPrivate(t.Context(), repo, true),
		g.SetHEAD(t.Context(), repo, "nowhere"),
		g.Delete(t.Context(), repo),
	} {
		if step != nil {
			t.Error(step)
		}
	}
}

func push(t *testing.T, g *parts.Gitea, r parts.Repo, c parts.Commit) string {
	t.Helper()
	sha, err := g.Push(t.Context(), r, c)
	if err != nil {
		t.Fatal(err)
	}
	return sha
}

// tip asks for a branch's commit by the API that answers at once after a first push.
func tip(t *testing.T, g *parts.Gitea, r parts.Repo, branch string) string {
	t.Helper()
	var refs []struct {
		Object struct{ SHA string }
	}
	if err := g.Call(t.Context(), http.MethodGet, "/repos/"+r.String()+"/git/refs/heads/"+branch,
		nil, &refs); err != nil {
		t.Fatal(err)
	}
	if len(refs) != 1 {
		t.Fatalf("%d refs for %s", len(refs), branch)
	}
	return refs[0].Object.SHA
}

func discovery(t *testing.T, repo, token string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
		repo+".git/info/refs?service=git-upload-pack", nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.SetBasicAuth("x-access-token", token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}
