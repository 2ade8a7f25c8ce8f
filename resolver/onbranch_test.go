package resolver

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

func TestFault12_CommitNotOnBranch(t *testing.T) {
	commit := jsonOf(200, `{"url":"x","sha":"`+shaB+`"}`)
	none, some := jsonOf(200, `{"total_commits":0,"commits":[]}`),
		jsonOf(200, `{"total_commits":3,"commits":[{}]}`)
	many := jsonOf(200, `{"total_commits":9999,"commits":["`+strings.Repeat("x", 100<<10)+`"]}`)
	heads := byRef(map[string]http.HandlerFunc{"HEAD": headMain()})
	for name, tc := range map[string]struct {
		pack, commit, beyond, behind http.HandlerFunc
		want                         error
	}{
		"an ancestor":         {heads, commit, none, some, nil},
		"an old ancestor":     {heads, commit, none, many, nil},
		"a commit of a fork":  {heads, commit, some, some, ErrNotOnBranch},
		"far from the branch": {heads, commit, many, some, ErrNotOnBranch},
		"another history":     {heads, commit, none, none, ErrNotOnBranch},
		"another history, 500": {heads, commit, jsonOf(500, `{}`), jsonOf(500, `{}`),
			ErrNotOnBranch},
		"no such commit": {heads, jsonOf(404, apiNotFound), none, some, ErrNotOnBranch},
		"a branch named like it": {byRef(map[string]http.HandlerFunc{"HEAD": headMain(),
			"refs/heads/" + shaB: refs(shaA + " refs/heads/" + shaB)}), commit, none, some,
			ErrNotOnBranch},
		"a tag named like it": {byRef(map[string]http.HandlerFunc{"HEAD": headMain(),
			"refs/tags/" + shaB: refs(shaA + " refs/tags/" + shaB)}), commit, none, some,
			ErrNotOnBranch},
		"a tag object": {heads, jsonOf(200, `{"sha":"`+shaA+`"}`), none, some,
			ErrNotOnBranch},
		"another forge": {heads, nil, nil, nil, ErrNotOnBranch},
		"detached HEAD": {byRef(map[string]http.HandlerFunc{"HEAD": refs(shaA +
			" HEAD")}), commit, none, some, ErrNotOnBranch},
		"a count that isn't one": {heads, commit, jsonOf(200, `{"total_commits":"0"}`), some,
			ErrInvalidAnswer},
		"a negative count": {heads, commit, jsonOf(200, `{"total_commits":-1}`), some,
			ErrInvalidAnswer},
		"no count": {heads, commit, jsonOf(200, `{"commits":[]}`), some,
			ErrInvalidAnswer},
		"a count given twice": {heads, commit,
			jsonOf(200, `{"total_commits":0,"total_commits":0}`), some, ErrInvalidAnswer},
		"unauthorized": {heads, jsonOf(401, apiUnauthorized), none, some,
			ErrUnauthorized},
		"the repository isn't there": {nil, commit, none, some, ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, map[string]http.HandlerFunc{packPath: tc.pack,
				apiRepo + "/git/commits/" + shaB: tc.commit, apiRepo + "/compare/main..." +
					shaB: tc.beyond, apiRepo + "/compare/" + shaB + "...main": tc.behind})
			_, err := s.client().OnBranch(t.Context(), s.remote(t), git.HEAD,
				mustRevision(t, shaB), Dialect{})
			if !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

func TestOnBranchOfHeadIsOneRequest(t *testing.T) {
	s := newServer(t, map[string]http.HandlerFunc{packPath: headMain()})
	if _, err := s.client().OnBranch(t.Context(), s.remote(t), git.HEAD,
		mustRevision(t, shaA), Dialect{}); err != nil || len(s.seen()) != 1 {
		t.Errorf("%v after %d requests", err, len(s.seen()))
	}
	if _, err := s.client().OnBranch(
		t.Context(), s.remote(t), git.HEAD, git.Revision{}, Dialect{},
	); !errors.Is(err, ErrInvalidInput) {
		t.Errorf("no revision gives %v", err)
	}
}

func TestOnBranchEscapesTheBranch(t *testing.T) {
	s := newServer(t, map[string]http.HandlerFunc{
		packPath: byRef(
			map[string]http.HandlerFunc{"refs/heads/a/b%2f&c": refs(shaA + " refs/heads/a/b%2f&c")},
		),
		apiRepo + "/git/commits/" + shaB:             jsonOf(200, `{"sha":"`+shaB+`"}`),
		apiRepo + "/compare/a/b%2f&c..." + shaB:      jsonOf(200, `{"total_commits":0}`),
		apiRepo + "/compare/" + shaB + "...a/b%2f&c": jsonOf(200, `{"total_commits":1}`),
	})
	if _, err := s.client().OnBranch(t.Context(), s.remote(t), mustBranch(t, "a/b%2f&c"),
		mustRevision(t, shaB), Dialect{}); err != nil {
		t.Error(err)
	}
}
