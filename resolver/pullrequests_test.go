package resolver

import (
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

func TestPullRequestsOfAFile(t *testing.T) {
	const entry = "templates:\n  - name: mine\n    repo: https://git.example/a/b\n    "
	for text, want := range map[string]*PullRequests{
		"": nil,
		"pull_requests: {}": {From: []string{"same-repository"}, Keep: 1,
			MaxAge: 14 * 24 * time.Hour},
		"pull_requests: {from: []}": {From: []string{}, Keep: 1, MaxAge: 14 * 24 * time.Hour},
		"pull_requests: {from: [anyone, \"user:a b\"], keep: 3, max_age: 2h, credentials: true}": {
			From: []string{"anyone", "user:a b"}, Keep: 3, MaxAge: 2 * time.Hour,
			Credentials: true},
		"submodules: [git.example]\n    pull_requests: {credentials: true}": {
			From: []string{"same-repository"}, Keep: 1, MaxAge: 14 * 24 * time.Hour,
			Credentials: true},
	} {
		c := newCatalogue(t)
		if err := c.AddFile(writeConfig(t, entry+text)); err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		tmpl, err := c.Template("mine")
		if err != nil || !reflect.DeepEqual(tmpl.PullRequests, want) {
			t.Errorf("%q gives %+v, %v", text, tmpl.PullRequests, err)
		}
		if got := strings.Contains(c.Entries()[0].Meaning, "pull requests"); got != (want != nil) {
			t.Errorf("%q means %s", text, c.Entries()[0].Meaning)
		}
	}
	for text, words := range map[string]string{
		"pull_requests: true":                      "write a mapping",
		"pull_requests: {from: anyone}":            "write a list",
		"pull_requests: {from: [alice]}":           "user:NAME",
		"pull_requests: {from: [\"user:\"]}":       "user:NAME",
		"pull_requests: {from: [Anyone]}":          "user:NAME",
		"pull_requests: {form: [anyone]}":          "there is no key \"form\"",
		"pull_requests: {keep: 0}":                 "above 0",
		"pull_requests: {keep: many}":              "write a number",
		"pull_requests: {max_age: -1h}":            "above 0",
		"pull_requests: {max_age: 3}":              "its unit",
		"tag: v1\n    pull_requests: {}":           "follows none",
		"submodules: [x.y]\n    pull_requests: {}": "credentials: true",
	} {
		err := newCatalogue(t).AddFile(writeConfig(t, entry+text))
		if !errors.Is(err, ErrInvalidInput) || !strings.Contains(err.Error(), words) {
			t.Errorf("%q gives %v", text, err)
		}
	}
	err := newCatalogue(t).AddFile(writeConfig(t, "templates:\n  - name: mine\n    image: sha256:"+
		shaA+shaA[:24]+"\n    pull_requests: {}"))
	if err == nil || !strings.Contains(err.Error(), "remove pull_requests or image") {
		t.Errorf("with an image: %v", err)
	}
}

func TestFault71_WhosePullRequests(t *testing.T) {
	branch := Origin{SameRepository: true, Authors: []string{"bob"}}
	fork := Origin{Authors: []string{"Mallory", "17"}}
	for _, c := range []struct {
		from         []string
		branch, fork bool
	}{
		{nil, false, false},
		{[]string{FromSameRepository}, true, false},
		{[]string{FromAnyone}, true, true},
		{[]string{"user:mallory"}, false, true},
		{[]string{"user:17"}, false, true},
		{[]string{"user:BOB"}, true, false},
		{[]string{"user:bob", FromSameRepository}, true, false},
	} {
		p := PullRequests{From: c.from}
		if p.Allows(branch) != c.branch || p.Allows(fork) != c.fork {
			t.Errorf("%v: branch %t, fork %t", c.from, p.Allows(branch), p.Allows(fork))
		}
	}
	// A name that the event does not give is nobody's.
	if (PullRequests{From: []string{"user:x"}}).Allows(Origin{}) {
		t.Error("an author without a name is allowed")
	}
}

func TestHeadOfPullRequest(t *testing.T) {
	for kind, ref := range map[ForgeKind]string{
		"":           "refs/pull-requests/7/from",
		ForgeGitea:   "refs/pull/7/head",
		ForgeForgejo: "refs/pull/7/head",
		ForgeGitHub:  "refs/pull/7/head",
		ForgeGitLab:  "refs/merge-requests/7/head",
	} {
		s := newServer(t, map[string]http.HandlerFunc{packPath: func(
			w http.ResponseWriter, r *http.Request,
		) {
			// One that is named alike is not it.
			refs(shaB+" "+ref+"s", shaB+" refs/pull/77/head", shaA+" "+ref)(w, r)
		}})
		remote := s.remote(t)
		c := s.client(WithServers(Servers{remote.Host(): {Forge: kind}}))
		tmpl := Template{Remote: remote}
		want := Pin{PullRequest: 7}
		head, err := Commit(t.Context(), c, tmpl, want, Dialect{})
		if err != nil || head.Revision.String() != shaA || head.Ref.PullRequest() != 7 {
			t.Errorf("%s: %v, %v", kind, head, err)
		}
		if asked := strings.Count(s.seen()[0].body, "ref-prefix "); kind != "" && asked != 1 ||
			kind == "" && asked != 3 {
			t.Errorf("%s: asked %q", kind, s.seen()[0].body)
		}
		want.Revision = mustRevision(t, shaA)
		if _, err := Commit(t.Context(), c, tmpl, want, Dialect{}); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		want.Revision = mustRevision(t, shaB)
		if _, err := Commit(t.Context(), c, tmpl, want, Dialect{}); !errors.Is(err,
			ErrNotOnBranch) || !strings.Contains(err.Error(), "pull request 7 is "+shaA) {
			t.Errorf("%s: %v", kind, err)
		}
		_, err = Commit(t.Context(), c, tmpl, Pin{PullRequest: 8}, Dialect{})
		if !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "no pull request 8") {
			t.Errorf("%s: %v", kind, err)
		}
	}
	for _, n := range []int64{-1, git.MaxPullRequest + 1} {
		if int64(int(n)) != n {
			continue // no int of this machine
		}
		_, err := Commit(t.Context(), nil, Template{}, Pin{PullRequest: int(n)}, Dialect{})
		if !errors.Is(err, ErrInvalidInput) {
			t.Errorf("%d gives %v", n, err)
		}
	}
}
