package e2e_test

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/buildkit/client"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// TestGitServersOfOtherKinds: what `git ls-remote` reads is built. What the first look-up learned
// is remembered: a hit of another process costs one request.
func TestGitServersOfOtherKinds(t *testing.T) {
	for name, c := range map[string]struct {
		habits parts.GitHabits
		cells  []cell
		hit    int // requests of a hit
	}{
		"version 0": {parts.GitHabits{OldProtocol: true}, builders(), 1},
		"version 0, 404": {parts.GitHabits{OldProtocol: true, CommandStatus: http.StatusNotFound},
			[]cell{containerdStandalone}, 1},
		"version 0, 400": {parts.GitHabits{OldProtocol: true,
			CommandStatus: http.StatusBadRequest}, []cell{containerdStandalone}, 1},
		"version 0, 415": {parts.GitHabits{OldProtocol: true,
			CommandStatus: http.StatusUnsupportedMediaType}, []cell{containerdStandalone}, 1},
		"version 0, 500": {parts.GitHabits{OldProtocol: true,
			CommandStatus: http.StatusInternalServerError}, []cell{containerdStandalone}, 1},
		"without unborn": {parts.GitHabits{NoUnborn: true}, builders(), 1},
		"without .git":   {parts.GitHabits{NoSuffix: true}, builders(), 1},
		"without all of it": {parts.GitHabits{NoSuffix: true, OldProtocol: true,
			CommandStatus: http.StatusForbidden, GitAgents: true}, []cell{classicOwn}, 1},
		"only for git": {parts.GitHabits{GitAgents: true}, []cell{containerdStandalone}, 1},
		"files alone":  {parts.GitHabits{Dumb: true}, []cell{containerdOwn}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			onCells(t, c.cells, func(t *testing.T, on cell) {
				s, server := gitBackend(t, on)
				rev := pushWord(t, server, name)
				if _, err := server.Git(t.Context(), "t-"+runtime,
					"update-server-info"); err != nil {
					t.Fatal(err)
				}
				server.SetHabits(c.habits)
				built := s.ensure(t, pinion.OutcomeBuilt)
				if built.Revision != rev {
					t.Errorf("%s was pushed, %s built", rev, built.Revision)
				}
				s.wantImage(t, built)
				s.reset()
				s.ensure(t, pinion.OutcomeHit)
				if asked := s.git.Requests(); len(asked) != c.hit {
					t.Errorf("a hit asked the git server %+v", asked)
				}
			})
		})
	}
}

// TestUserNameWithThePassword: a credential that goes with its user name opens the look-up and the
// builder's fetch, and nothing shows it.
func TestUserNameWithThePassword(t *testing.T) {
	onCells(t, builders(), func(t *testing.T, on cell) {
		s, server := gitBackend(t, on)
		pushWord(t, server, "user")
		const password = "pass w0rd:with/signs"
		server.SetHabits(parts.GitHabits{User: "deploy-bot", Password: password})
		host := strings.TrimPrefix(s.git.URL(), "http://")
		token := "credentials:\n- host: '" + host + "'\n  token_env: DEPLOY_PASSWORD\n"
		s.user = s.with("DEPLOY_PASSWORD", password, "PINION_CONFIG", configFile(t, token))
		s.refuse(t, pinion.ErrUnauthorized, "DEPLOY_PASSWORD", "user")

		member := s.with("PINION_CONFIG", configFile(t, token+"  user: deploy-bot\n"))
		var seen strings.Builder
		img, err := member.open(t, pinion.WithLogger(slog.New(slog.NewTextHandler(&seen, nil))),
			pinion.WithProgress(func(_ string, status *client.SolveStatus) {
				for _, l := range status.Logs {
					seen.Write(l.Data)
				}
			})).Ensure(t.Context(), runtime)
		if err != nil || img.Outcome != pinion.OutcomeBuilt {
			t.Fatalf("got %+v, %v", img, err)
		}
		encoded := base64.StdEncoding.EncodeToString([]byte("deploy-bot:" + password))
		if text := seen.String(); strings.Contains(text, password) ||
			strings.Contains(text, encoded) {
			t.Errorf("the credential is in %s", text)
		}
		s.reset()
		member.ensure(t, pinion.OutcomeHit)
		s.wantHitTraffic(t)
	})
}

// TestRedirectOnTheSameHost: a renamed repository is followed where the config file allows it. The
// builder fetches where the commit was seen.
func TestRedirectOnTheSameHost(t *testing.T) {
	onCells(t, []cell{containerdOwn, oldOwn}, func(t *testing.T, on cell) {
		s, server := gitBackend(t, on)
		if err := server.CreateRepo(t.Context(), "elsewhere", ""); err != nil {
			t.Fatal(err)
		}
		sha, err := server.Push(t.Context(), "elsewhere",
			parts.Commit{Files: busybox(t, "CMD echo moved"), Message: t.Name()})
		if err != nil {
			t.Fatal(err)
		}
		server.SetHabits(parts.GitHabits{Renamed: map[string]string{"t-" + runtime: "elsewhere"}})
		s.refuse(t, pinion.ErrNotFound, "moved to", s.git.URL()+"/elsewhere", "redirects")

		host := strings.TrimPrefix(s.git.URL(), "http://")
		s.user = s.with("PINION_CONFIG",
			configFile(t, "servers:\n- {host: '"+host+"', redirects: same-host}\n"))
		s.reset()
		built := s.ensure(t, pinion.OutcomeBuilt)
		if built.Revision.String() != sha {
			t.Errorf("%s was pushed, %s built", sha, built.Revision)
		}
		for _, r := range s.git.Requests() {
			if r.Method == http.MethodGet && !strings.HasPrefix(r.Path, "/elsewhere.git/") {
				t.Errorf("the builder asked for %s", r.Path)
			}
		}
		s.reset()
		s.ensure(t, pinion.OutcomeHit)
		if asked := s.git.Requests(); len(asked) != 2 {
			t.Errorf("a hit asked the git server %+v", asked)
		}
	})
}

// TestEscapesInThePath: a repository whose path has a space and letters that are escaped. An entry
// with a path that cannot be used is refused alone.
func TestEscapesInThePath(t *testing.T) {
	onCells(t, builders(), func(t *testing.T, on cell) {
		s, server := gitBackend(t, on)
		const name = "My Project/_git/vorläge (1), @team & co"
		if err := server.CreateRepo(t.Context(), name, ""); err != nil {
			t.Fatal(err)
		}
		sha, err := server.Push(t.Context(), name,
			parts.Commit{Files: busybox(t, "CMD echo escaped"), Message: t.Name()})
		if err != nil {
			t.Fatal(err)
		}
		repo := s.git.URL() + "/" + (&url.URL{Path: name}).EscapedPath()
		s.user = s.with("PINION_CONFIG", configFile(t, "templates:\n- {name: "+runtime+", repo: \""+
			repo+"\"}\n- {name: bad, repo: 'https://h.example/a%2fb'}\n"))
		built := s.ensure(t, pinion.OutcomeBuilt)
		if built.Revision.String() != sha || built.Repository != repo {
			t.Errorf("built %+v", built)
		}
		s.wantImage(t, built)
		s.reset()
		s.ensure(t, pinion.OutcomeHit)
		s.wantHitTraffic(t)
		s.fail(t, exitUsage, []string{"config.yaml", "a%2fb"}, "ensure", "bad")
	})
}

// TestHEADAndBranchesOfAllKinds: what git allows as a branch's name and as a HEAD.
func TestHEADAndBranchesOfAllKinds(t *testing.T) {
	s, server := gitBackend(t, containerdOwn)
	repo := "t-" + runtime
	main := pushWord(t, server, "main").String()
	const odd = "fix#12/-a%2f&b;c'd|$e(f)"
	git := func(args ...string) {
		t.Helper()
		if _, err := server.Git(t.Context(), repo, args...); err != nil {
			t.Fatal(err)
		}
	}
	git("update-ref", "refs/heads/"+odd, main)
	for name, set := range map[string]func() (branch string){
		"a branch": func() string { return odd },
		"HEAD on that branch": func() string {
			git("symbolic-ref", "HEAD", "refs/heads/"+odd)
			return ""
		},
		"detached HEAD": func() string {
			git("update-ref", "--no-deref", "HEAD", main)
			return ""
		},
		"HEAD outside the branches": func() string {
			git("update-ref", "refs/meta/config", main)
			git("symbolic-ref", "HEAD", "refs/meta/config")
			return ""
		},
	} {
		for _, old := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", version 0: ", old), func(t *testing.T) {
				u := s.user
				if branch := set(); branch != "" {
					u = s.with("PINION_CONFIG", configFile(t, "templates:\n- name: "+runtime+
						"\n  branch: \""+branch+"\"\n"))
				}
				server.SetHabits(parts.GitHabits{OldProtocol: old})
				if img, err := u.try(t); err != nil || img.Revision.String() != main {
					t.Errorf("got %s, %v", img.Revision, err)
				}
			})
		}
	}
}

// configFile writes a config file.
func configFile(t *testing.T, text string) string {
	t.Helper()
	return write(t, filepath.Join(t.TempDir(), "config.yaml"), text, 0o600)
}
