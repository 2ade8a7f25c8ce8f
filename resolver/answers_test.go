package resolver

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// unserved makes a look-up fall back to the forge's API.
func unserved() http.HandlerFunc {
	return answer(http.StatusMethodNotAllowed, "text/html", "<html>")
}

func TestFault19_StrictJSON(t *testing.T) {
	branch := func(id string) string { return `{"name":"main","commit":{"id":` + id + `}}` }
	good := branch(`"` + shaA + `"`)
	for name, body := range map[string]string{
		"null":          branch(`null`),
		"number":        branch(`1234`),
		"array":         branch(`["` + shaA + `"]`),
		"object":        branch(`{"id":"` + shaA + `"}`),
		"empty":         branch(`""`),
		"branch name":   branch(`"main"`),
		"upper case":    branch(`"` + strings.ToUpper(shaA) + `"`),
		"short":         branch(`"` + shaA[:12] + `"`),
		"all zero":      branch(`"` + strings.Repeat("0", 40) + `"`),
		"missing":       `{"name":"main","commit":{}}`,
		"no commit":     `{"name":"main"}`,
		"null commit":   `{"name":"main","commit":null}`,
		"duplicated id": branch(`"` + shaA + `","id":"` + shaB + `"`),
		"duplicated commit": `{"name":"main","commit":{"id":"` + shaA + `"},"commit":{"id":"` +
			shaB + `"}}`,
		"key in another case": `{"name":"main","commit":{"ID":"` + shaA + `"}}`,
		"another branch":      strings.Replace(good, "main", "main2", 1),
		"trailing data":       good + good,
		"truncated":           good[:len(good)-1],
		"an array":            `[` + good + `]`,
		"not JSON":            `sha`,
		"nothing":             ``,
		"deep": `{"name":` + strings.Repeat(`[`, 1000) + strings.Repeat(`]`, 1000) +
			`}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, map[string]http.HandlerFunc{packPath: unserved(),
				apiRepo: jsonOf(200, repoJSON("main", "sha1")), apiRepo +
					"/branches/main": jsonOf(200, body)})
			head, err := s.client().Head(t.Context(), s.remote(t), git.HEAD, Dialect{})
			if !errors.Is(err, ErrInvalidAnswer) || head != (Head{}) {
				t.Errorf("got %v, %v", head, err)
			}
		})
	}
	s := newServer(t, map[string]http.HandlerFunc{packPath: unserved(),
		apiRepo: jsonOf(200, repoJSON("main", "sha1")), apiRepo +
			"/branches/main": jsonOf(200, good)})
	if head, err := s.client().Head(t.Context(), s.remote(t), git.HEAD, Dialect{}); err != nil ||
		head.Revision.String() != shaA || head.Ref.Branch() != "main" {
		t.Errorf("the good answer gives %v, %v", head, err)
	}
}

// TestTheAPIIsRemembered: who had to ask it does so at once the next time, and asks as others do
// where the API is gone.
func TestTheAPIIsRemembered(t *testing.T) {
	s := newServer(t, map[string]http.HandlerFunc{packPath: unserved(),
		infoPath: advertises("version 2", "ls-refs=unborn"),
		apiRepo:  jsonOf(200, repoJSON("main", "sha1")),
		apiRepo + "/branches/main": jsonOf(200,
			`{"name":"main","commit":{"id":"`+shaA+`"}}`)})
	c := s.client()
	first, err := c.Head(t.Context(), s.remote(t), git.HEAD, Dialect{})
	if err != nil || first.Revision.String() != shaA || first.Dialect.Protocol != ProtocolAPI {
		t.Fatalf("got %+v, %v", first, err)
	}
	for name, again := range map[string]*Client{"the same client": c, "by a hint": s.client()} {
		before := len(s.seen())
		head, err := again.Head(t.Context(), s.remote(t), git.HEAD,
			ParseDialect(first.Dialect.String()))
		if n := len(s.seen()) - before; err != nil || head != first || n != 2 {
			t.Errorf("%s: %+v, %v after %d requests", name, head, err, n)
		}
	}
	s.routes[apiRepo], s.routes[packPath] = answer(404, "", ""), headMain()
	if head, err := c.Head(t.Context(), s.remote(t), git.HEAD, Dialect{}); err != nil ||
		head.Dialect.Protocol != ProtocolV2 {
		t.Errorf("without the API: %+v, %v", head, err)
	}
}

func TestFault20_PrefixMatch(t *testing.T) {
	longer := []string{shaB + " refs/heads/main-1", shaB + " refs/heads/main/x", shaB +
		" refs/heads/main2"}
	s := newServer(t, map[string]http.HandlerFunc{packPath: refs(longer...)})
	if head, err := s.client().Head(
		t.Context(), s.remote(t), mustBranch(t, "main"), Dialect{},
	); !errors.Is(err, ErrNotFound) {
		t.Errorf("only longer names: %v, %v", head, err)
	}
	s.routes[packPath] = refs(append(longer, shaA+" refs/heads/main")...)
	if head, err := s.client().Head(t.Context(), s.remote(t), mustBranch(t, "main"),
		Dialect{}); err != nil || head.Revision.String() != shaA {
		t.Errorf("longer names first: %v, %v", head, err)
	}
	s.routes[packPath] = refs(shaB+" refs/heads/HEAD", shaB+" HEAD2", shaB+" refs/remotes/HEAD")
	if head, err := s.client().Head(
		t.Context(), s.remote(t), git.HEAD, Dialect{},
	); !errors.Is(err, ErrNotFound) {
		t.Errorf("names like HEAD: %v, %v", head, err)
	}
}

func TestFault21_AnnotatedTag(t *testing.T) {
	s := newServer(t,
		map[string]http.HandlerFunc{packPath: refs(shaB + " refs/heads/main peeled:" + shaA)})
	if head, err := s.client().Head(t.Context(), s.remote(t), mustBranch(t, "main"),
		Dialect{}); err != nil || head.Revision.String() != shaA {
		t.Errorf("got %v, %v", head, err)
	}
	s.routes[packPath] = refs(shaB + " refs/heads/main peeled:nonsense")
	if _, err := s.client().Head(
		t.Context(), s.remote(t), mustBranch(t, "main"), Dialect{},
	); !errors.Is(err, ErrInvalidAnswer) {
		t.Errorf("nonsense gives %v", err)
	}
	// A tag object by its name: the API answers for the commit it points to.
	s.routes[packPath] = byRef(map[string]http.HandlerFunc{"HEAD": headMain()})
	s.routes[apiRepo+"/git/commits/"+shaB] = jsonOf(200, `{"sha":"`+shaA+`"}`)
	s.routes[apiRepo+"/compare/main..."+shaB] = jsonOf(200, `{"total_commits":0,"commits":[]}`)
	s.routes[apiRepo+"/compare/"+shaB+"...main"] = jsonOf(200, `{"total_commits":1,"commits":[]}`)
	if _, err := s.client().OnBranch(
		t.Context(), s.remote(t), git.HEAD, mustRevision(t, shaB), Dialect{},
	); !errors.Is(err, ErrNotOnBranch) {
		t.Errorf("a tag object gives %v", err)
	}
}

func TestFault22_EmptyRepository(t *testing.T) {
	unborn := refs("unborn HEAD symref-target:refs/heads/master")
	const advice = "repository is empty: push a first commit"
	for name, tc := range map[string]struct {
		pack, api http.HandlerFunc
		revision  string
	}{
		"the default branch exists": {byRef(map[string]http.HandlerFunc{"HEAD": unborn,
			"refs/heads/main": refs(shaA + " refs/heads/main")}),
			jsonOf(200, repoJSON("main", "sha1")), shaA},
		"the default branch doesn't": {byRef(map[string]http.HandlerFunc{"HEAD": unborn}),
			jsonOf(200, repoJSON("main", "sha1")), ""},
		"it is unborn, too":       {unborn, jsonOf(200, repoJSON("master", "sha1")), ""},
		"no default branch":       {unborn, jsonOf(200, repoJSON("", "sha1")), ""},
		"another forge":           {unborn, nil, ""},
		"another forge's HTML":    {unborn, answer(200, "text/html", "<html>"), ""},
		"a server without unborn": {refs(), jsonOf(200, repoJSON("main", "sha1")), ""},
		"409":                     {jsonOf(409, `{"message":"Git Repository is empty."}`), nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, map[string]http.HandlerFunc{packPath: tc.pack, apiRepo: tc.api})
			head, err := s.client().Head(t.Context(), s.remote(t), git.HEAD, Dialect{})
			if tc.revision == "" &&
				(!errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), advice)) {
				t.Errorf("got %v, %v", head, err)
			}
			if tc.revision != "" && (err != nil ||
				head.Revision.String() != tc.revision || head.Ref.Branch() != "main") {
				t.Errorf("got %v, %v", head, err)
			}
		})
	}
	t.Run("deleted", func(t *testing.T) {
		for _, status := range []int{404, 410} {
			s := newServer(t,
				map[string]http.HandlerFunc{packPath: answer(status, "text/plain",
					"Repository not found")})
			_, err := s.client().Head(t.Context(), s.remote(t), git.HEAD, Dialect{})
			if !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "not mirrored") ||
				!strings.Contains(err.Error(), s.remote(t).String()) {
				t.Errorf("%d: %v", status, err)
			}
		}
	})
	t.Run("the API fails", func(t *testing.T) {
		s := newServer(t, map[string]http.HandlerFunc{packPath: unborn, apiRepo: jsonOf(500, `{}`)})
		if _, err := s.client().Head(
			t.Context(), s.remote(t), git.HEAD, Dialect{},
		); !errors.Is(err, ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	})
}

func TestFault25_LoginPage(t *testing.T) {
	for name, route := range map[string]http.HandlerFunc{
		"HTML":                answer(200, "text/html; charset=utf-8", "<html>Sign in</html>"),
		"HTML with good refs": answer(200, "text/html", pkt(shaA+" HEAD")+"0000"),
		"no type": func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
		},
		"the advertisement": answer(200, "application/x-git-upload-pack-advertisement",
			pkt(shaA+" HEAD")+"0000"),
		"JSON": jsonOf(200, `{}`),
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, map[string]http.HandlerFunc{packPath: route,
				infoPath: answer(404, "text/html", "")})
			head, err := s.client().Head(t.Context(), s.remote(t), git.HEAD, Dialect{})
			if !errors.Is(err, ErrInvalidAnswer) || !strings.Contains(err.Error(), "content type") {
				t.Errorf("got %v, %v", head, err)
			}
		})
	}
}

func TestFault26_ObjectFormat(t *testing.T) {
	// Like git, the server ends the answer to a request in another format.
	serve := func(format git.ObjectFormat, refusal http.HandlerFunc, sha string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body) // the server has read it
			if strings.Contains(string(body), "object-format=sha256") != (format == git.SHA256) {
				refusal(w, r)
				return
			}
			refs(sha+" HEAD symref-target:refs/heads/main")(w, r)
		}
	}
	refusal := result(pkt("ERR mismatched object format: server sha256; client sha1"))
	// Whoever is refused asks what the format is.
	formats := map[git.ObjectFormat]http.HandlerFunc{
		git.SHA1:   advertises("version 2", "ls-refs=unborn", "object-format=sha1"),
		git.SHA256: advertises("version 2", "ls-refs=unborn", "object-format=sha256"),
	}
	for name, tc := range map[string]struct {
		route    http.HandlerFunc
		format   git.ObjectFormat
		hint     git.ObjectFormat
		sha      string
		requests int
	}{
		"sha1":          {serve(git.SHA1, refusal, shaA), git.SHA1, "", shaA, 1},
		"sha256":        {serve(git.SHA256, refusal, sha256), git.SHA256, "", sha256, 3},
		"sha256 silent": {serve(git.SHA256, result(""), sha256), git.SHA256, "", sha256, 3},
		"sha256 hinted": {serve(git.SHA256, refusal, sha256), git.SHA256, git.SHA256, sha256,
			1},
		"sha1 hinted as sha256": {serve(git.SHA1, refusal, shaA), git.SHA1, git.SHA256, shaA, 3},
		"sha1 answers sha256":   {serve(git.SHA1, refusal, sha256), git.SHA1, "", "", 2},
		"sha256 answers sha1":   {serve(git.SHA256, refusal, shaA), git.SHA256, "", "", 3},
		"63 digits": {serve(git.SHA256, refusal, sha256[:63]), git.SHA256, git.SHA256, "",
			2},
		"refuses every request": {refusal, git.SHA1, "", "", 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, map[string]http.HandlerFunc{packPath: tc.route,
				infoPath: formats[tc.format]})
			c := s.client()
			head, err := c.Head(t.Context(), s.remote(t), git.HEAD, Dialect{Format: tc.hint})
			if n := len(s.seen()); n != tc.requests {
				t.Errorf("%d requests, want %d", n, tc.requests)
			}
			if tc.sha == "" {
				if !errors.Is(err, ErrInvalidAnswer) || head != (Head{}) {
					t.Errorf("got %v, %v", head, err)
				}
				return
			}
			if err != nil || head.Revision.String() != tc.sha {
				t.Fatalf("got %v, %v", head, err)
			}
			_, err = c.Head(t.Context(), s.remote(t), git.HEAD, Dialect{Format: tc.hint})
			if err != nil || len(s.seen()) != tc.requests+1 {
				t.Errorf("the second look-up doesn't remember: %d requests, %v", len(s.seen()), err)
			}
		})
	}
}

func TestFault26_ObjectFormatByAPI(t *testing.T) {
	for format, sha := range map[string]string{"sha1": sha256, "sha256": shaA} {
		s := newServer(t, map[string]http.HandlerFunc{packPath: unserved(),
			apiRepo: jsonOf(200, repoJSON("main", format)),
			apiRepo + "/branches/main": jsonOf(200,
				`{"name":"main","commit":{"id":"`+sha+`"}}`)})
		if _, err := s.client().Head(
			t.Context(), s.remote(t), git.HEAD, Dialect{},
		); !errors.Is(err, ErrInvalidAnswer) {
			t.Errorf("%s: %v", format, err)
		}
	}
}

func TestMalformedAnswers(t *testing.T) {
	for name, body := range map[string]string{
		"no length":          "hello",
		"length 3":           "0003",
		"beyond the longest": "fff1" + strings.Repeat("x", 65521),
		"truncated header":   "00",
		"truncated line":     pkt(shaA + " HEAD")[:20],
		"no end":             pkt(shaB + " refs/heads/x"),
		"a delimiter":        pkt(shaB+" refs/heads/x") + "0001",
		"empty line":         "0004",
		"one field":          pkt(shaA),
		"no name":            pkt(shaA + " "),
		"short commit":       pkt(shaA[:39] + " HEAD"),
		"upper-case commit":  pkt(strings.ToUpper(shaA) + " HEAD"),
		"all-zero commit":    pkt(strings.Repeat("0", 40) + " HEAD"),
		"an unborn branch":   pkt("unborn refs/heads/main") + "0000",
		"an escape sequence": pkt("\x1b[2J HEAD"),
		"the old protocol":   pkt("# service=git-upload-pack") + "0000",
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, map[string]http.HandlerFunc{packPath: result(body)})
			head, err := s.client().Head(t.Context(), s.remote(t), git.HEAD, Dialect{})
			if !errors.Is(err, ErrInvalidAnswer) || head != (Head{}) {
				t.Errorf("got %v, %v", head, err)
			}
			if err != nil && strings.ContainsAny(err.Error(), "\x1b\n") {
				t.Errorf("the error isn't clean: %q", err)
			}
		})
	}
}
