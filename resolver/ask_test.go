package resolver

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

const (
	barePack = repoPath + "/git-upload-pack"
	bareInfo = repoPath + "/info/refs"
)

// TestWithoutSuffix: the repository is at the URL as it was written.
func TestWithoutSuffix(t *testing.T) {
	for _, missing := range []int{404, 410, 400, 403, 302} {
		t.Run(fmt.Sprint(missing), func(t *testing.T) {
			gone := answer(missing, "text/html", "")
			if missing == 302 {
				gone = redirect(302, "/login")
			}
			s := newServer(t, map[string]http.HandlerFunc{packPath: gone, barePack: headMain(),
				bareInfo: advertises("version 2", "ls-refs=unborn")})
			head, err := s.client().Head(t.Context(), s.remote(t), git.HEAD, Dialect{})
			if err != nil || head.Revision.String() != shaA || !head.Dialect.NoSuffix ||
				head.Remote.GitURL() != s.URL+repoPath {
				t.Fatalf("got %+v, %v", head, err)
			}
			before := len(s.seen())
			if again, err := s.client().Head(t.Context(), s.remote(t), git.HEAD,
				head.Dialect); err != nil || again != head || len(s.seen()) != before+1 {
				t.Errorf("with the hint: %v, %v after %d requests", again, err,
					len(s.seen())-before)
			}
		})
	}
}

// TestRedirectBetweenForms: a server may redirect from one form of the URL to the other.
func TestRedirectBetweenForms(t *testing.T) {
	s := newServer(t, map[string]http.HandlerFunc{
		packPath: redirect(301, barePack), infoPath: redirect(301, bareInfo),
		barePack: headMain(), bareInfo: advertises("version 2", "ls-refs=unborn")})
	head, err := s.client().Head(t.Context(), s.remote(t), git.HEAD, Dialect{})
	if err != nil || head.Revision.String() != shaA || head.Remote.HasSuffix() {
		t.Errorf("got %+v, %v", head, err)
	}
}

// TestDumbServer: files that a web server serves.
func TestDumbServer(t *testing.T) {
	list := shaB + "\trefs/heads/dev\n" + shaA + "\trefs/heads/main\n" + shaB + "\trefs/tags/v1\n" +
		shaA + "\trefs/tags/v1^{}\n"
	file := func(text string) http.HandlerFunc {
		return answer(200, "application/octet-stream", text)
	}
	for name, c := range map[string]struct {
		head, list string
		ref        git.Ref
		sha, on    string
		err        error
	}{
		"HEAD":          {"ref: refs/heads/main\n", list, git.HEAD, shaA, "refs/heads/main", nil},
		"detached HEAD": {shaB + "\n", list, git.HEAD, shaB, "HEAD", nil},
		"a branch":      {"", list, mustBranch(t, "dev"), shaB, "refs/heads/dev", nil},
		"a tag":         {"", list, mustTag(t, "v1"), shaA, "refs/tags/v1", nil},
		"no branch":     {"", list, mustBranch(t, "gone"), "", "", ErrNotFound},
		"unborn HEAD":   {"ref: refs/heads/gone\n", list, git.HEAD, "", "", ErrNotFound},
		"HEAD is HTML":  {"<html>", list, git.HEAD, "", "", ErrInvalidAnswer},
		"a bad line":    {"", list + "<html>\n", mustBranch(t, "gone"), "", "", ErrInvalidAnswer},
		"no end":        {"", list + shaA, mustBranch(t, "gone"), "", "", ErrInvalidAnswer},
		"a long line": {"", list + strings.Repeat("x", 1<<17), mustBranch(t, "gone"), "", "",
			ErrInvalidAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, map[string]http.HandlerFunc{packPath: answer(405, "text/html", ""),
				infoPath: file(c.list), repoPath + ".git/HEAD": file(c.head)})
			head, err := s.client().Head(t.Context(), s.remote(t), c.ref, Dialect{})
			if !errors.Is(err, c.err) || err == nil && (head.Revision.String() != c.sha ||
				head.Ref.String() != c.on || head.Dialect.Protocol != ProtocolDumb) {
				t.Errorf("got %+v, %v", head, err)
			}
		})
	}
}

// TestNoServerAtAll: an error is that of the request which says most.
func TestNoServerAtAll(t *testing.T) {
	page := answer(200, "text/html", "<html>")
	missing, denied := answer(404, "", ""), answer(403, "", "")
	for name, c := range map[string]struct {
		command, info, bare http.HandlerFunc
		want                error
		text                string
	}{
		"all missing":       {nil, nil, nil, ErrNotFound, "not mirrored"},
		"no POST, missing":  {answer(405, "", ""), missing, nil, ErrNotFound, "mirrored"},
		"no POST here":      {denied, missing, nil, ErrNotFound, "mirrored"},
		"pages for the web": {missing, missing, page, ErrNotFound, "mirrored"},
		"a login page":      {page, page, page, ErrInvalidAnswer, "login page"},
		"a login page for the other form": {answer(404, "", ""), page, nil, ErrInvalidAnswer,
			"login page"},
		"the other form is private": {answer(404, "", ""), answer(404, "", ""),
			answer(401, "", ""), ErrUnauthorized, "private"},
		"fails":           {answer(500, "", ""), answer(404, "", ""), nil, ErrUnavailable, "500"},
		"fails elsewhere": {answer(404, "", ""), answer(503, "", ""), nil, ErrUnavailable, "503"},
		"speaks and refuses": {result(pkt("ERR access denied")), answer(404, "", ""), nil,
			ErrInvalidAnswer, "access denied"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, map[string]http.HandlerFunc{packPath: c.command, infoPath: c.info,
				barePack: c.bare, bareInfo: c.bare})
			head, err := s.client().Head(t.Context(), s.remote(t), git.HEAD, Dialect{})
			if !errors.Is(err, c.want) || head != (Head{}) ||
				!strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v, %v", head, err)
			}
		})
	}
}

// TestFault24_ARefusedCredentialIsShownOnce: more tries could lock the account.
func TestFault24_ARefusedCredentialIsShownOnce(t *testing.T) {
	s := newServer(t, map[string]http.HandlerFunc{packPath: answer(401, "", "")})
	_, err := s.clientWithToken("x").Head(t.Context(), s.remote(t), git.HEAD, Dialect{})
	shown := 0
	for _, r := range s.seen() {
		if r.auth != "" && !strings.HasPrefix(r.path, "/api/") {
			shown++
		}
	}
	if !errors.Is(err, ErrUnauthorized) || shown != 1 {
		t.Errorf("got %v, shown %d times", err, shown)
	}
}

func TestUserAgentBeginsAsGits(t *testing.T) {
	s := newServer(t, map[string]http.HandlerFunc{packPath: headMain()})
	if _, err := s.client().Head(t.Context(), s.remote(t), git.HEAD, Dialect{}); err != nil {
		t.Fatal(err)
	}
	if agent := s.seen()[0].header.Get("User-Agent"); !strings.HasPrefix(agent, "git/") ||
		!strings.Contains(agent, "pinion") {
		t.Errorf("the user agent is %q", agent)
	}
}
