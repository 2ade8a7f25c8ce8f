package e2e_test

import (
	"net/http"
	"testing"

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
		"version 0": {parts.GitHabits{OldProtocol: true}, []cell{containerdOwn, oldOwn}, 1},
		"version 0, 404": {parts.GitHabits{OldProtocol: true, CommandStatus: http.StatusNotFound},
			[]cell{containerdStandalone}, 1},
		"version 0, 400": {parts.GitHabits{OldProtocol: true,
			CommandStatus: http.StatusBadRequest}, []cell{containerdStandalone}, 1},
		"version 0, 415": {parts.GitHabits{OldProtocol: true,
			CommandStatus: http.StatusUnsupportedMediaType}, []cell{containerdStandalone}, 1},
		"version 0, 500": {parts.GitHabits{OldProtocol: true,
			CommandStatus: http.StatusInternalServerError}, []cell{containerdStandalone}, 1},
		"without unborn": {parts.GitHabits{NoUnborn: true}, []cell{containerdOwn}, 1},
		"without .git":   {parts.GitHabits{NoSuffix: true}, []cell{containerdOwn, oldOwn}, 1},
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
