package resolver

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

var redirectStatuses = []int{301, 302, 303, 307, 308}

func TestFault16_RedirectToAnotherHost(t *testing.T) {
	other := newServer(t, map[string]http.HandlerFunc{packPath: headMain()})
	for _, status := range redirectStatuses {
		for name, location := range map[string]string{
			"another port":    other.URL + packPath,
			"no scheme":       strings.TrimPrefix(other.URL, "http:") + packPath,
			"with userinfo":   "http://x:y@" + other.host() + packPath,
			"another scheme":  "ftp://" + other.host() + packPath,
			"backslash trick": `http://evil.example\@` + other.host(),
		} {
			t.Run(fmt.Sprint(status, " ", name), func(t *testing.T) {
				s := newServer(t, map[string]http.HandlerFunc{packPath: redirect(status, location)})
				c := s.clientWithToken(canary)
				head, err := c.Head(t.Context(), s.remote(t), git.HEAD, Dialect{})
				var moved *MovedError
				if !errors.Is(err, ErrInvalidAnswer) || errors.As(err, &moved) || head != (Head{}) {
					t.Errorf("got %v, %v", head, err)
				}
				if name == "another port" && !strings.Contains(err.Error(), other.host()) {
					t.Errorf("the error doesn't name the host: %v", err)
				}
			})
		}
	}
	t.Run("by the API", func(t *testing.T) {
		s := newServer(t, map[string]http.HandlerFunc{packPath: unserved(),
			apiRepo: redirect(302, other.URL+apiRepo)})
		if _, err := s.clientWithToken(canary).Head(
			t.Context(), s.remote(t), git.HEAD, Dialect{},
		); !errors.Is(err, ErrInvalidAnswer) {
			t.Errorf("got %v", err)
		}
	})
	if n := len(other.seen()); n != 0 {
		t.Errorf("the other host was asked %d times", n)
	}
}

func TestFault17_RenamedRepository(t *testing.T) {
	for _, status := range redirectStatuses {
		for _, location := range []string{"/acme/renamed.git/git-upload-pack",
			"/acme/renamed/git-upload-pack", "../renamed.git/git-upload-pack"} {
			t.Run(fmt.Sprint(status, " ", location), func(t *testing.T) {
				s := newServer(t, map[string]http.HandlerFunc{packPath: redirect(status, location)})
				_, err := s.client().Head(t.Context(), s.remote(t), git.HEAD, Dialect{})
				requireMoved(t, err, s.remote(t), s.URL+"/acme/renamed")
				if n := len(s.seen()); n != 1 {
					t.Errorf("%d requests", n)
				}
			})
		}
	}
	t.Run("absolute", func(t *testing.T) {
		s := newServer(t, nil)
		s.routes = map[string]http.HandlerFunc{packPath: redirect(301,
			s.URL+"/new/home.git/git-upload-pack")}
		_, err := s.client().Head(t.Context(), s.remote(t), git.HEAD, Dialect{})
		requireMoved(t, err, s.remote(t), s.URL+"/new/home")
	})
	t.Run("by the API's answer", func(t *testing.T) {
		s := newServer(t, map[string]http.HandlerFunc{packPath: answer(401, "text/plain", ""),
			apiRepo: redirect(301, "/api/v1/repos/new/home")})
		_, err := s.client().Head(t.Context(), s.remote(t), git.HEAD, Dialect{})
		requireMoved(t, err, s.remote(t), s.URL+"/new/home")
	})
	t.Run("not a repository", func(t *testing.T) {
		for _, location := range []string{"/user/login", "/user/login?redirect_to=x", packPath,
			"/-x/y.git/git-upload-pack", "/%zz", "/a%0ab.git/git-upload-pack"} {
			s := newServer(t, map[string]http.HandlerFunc{packPath: redirect(302, location)})
			_, err := s.client().Head(t.Context(), s.remote(t), git.HEAD, Dialect{})
			if !errors.Is(err, ErrInvalidAnswer) || errors.Is(err, ErrNotFound) {
				t.Errorf("%q: %v", location, err)
			}
		}
	})
}

func requireMoved(t *testing.T, err error, from git.Remote, to string) {
	t.Helper()
	var moved *MovedError
	if !errors.As(err, &moved) || !errors.Is(err, ErrNotFound) || moved.From != from ||
		moved.To.String() != to {
		t.Fatalf("got %v, want a move to %s", err, to)
	}
	if !strings.Contains(err.Error(), to) {
		t.Errorf("the text doesn't name the new home: %v", err)
	}
}

func TestRedirectFromHTTPSToHTTPIsRefused(t *testing.T) {
	origin := &url.URL{Scheme: "https", Host: "h.example"}
	for raw, want := range map[string]bool{"https://h.example/x": true,
		"https://H.example:443/x": true, "http://h.example/x": false,
		"https://h.example:80/x": false, "https://h.example.evil/x": false} {
		target, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := sameHost(target, origin); got != want {
			t.Errorf("%s: %v", raw, got)
		}
	}
}

func TestFault23_ServerErrors(t *testing.T) {
	fails := answer(500, "text/plain", "object does not exist")
	t.Run("goes away", func(t *testing.T) {
		var waits []int
		s := newServer(t,
			map[string]http.HandlerFunc{packPath: inTurn(fails,
				answer(502, "text/html", ""), headMain())})
		c := s.client(WithBackoff(3, func(n int) time.Duration {
			waits = append(waits, n)
			return 0
		}))
		head, err := c.Head(t.Context(), s.remote(t), git.HEAD, Dialect{})
		if err != nil || head.Revision.String() != shaA || fmt.Sprint(waits) != "[0 1]" {
			t.Errorf("got %v, %v after %v", head, err, waits)
		}
	})
	t.Run("stays", func(t *testing.T) {
		s := newServer(t, map[string]http.HandlerFunc{packPath: fails})
		head, err := s.client().Head(t.Context(), s.remote(t), git.HEAD, Dialect{})
		if !errors.Is(err, ErrUnavailable) || head != (Head{}) || len(s.seen()) != 5 {
			t.Errorf("got %v, %v after %d requests", head, err, len(s.seen()))
		}
	})
	t.Run("after a good answer", func(t *testing.T) {
		s := newServer(t, map[string]http.HandlerFunc{packPath: inTurn(headMain(), fails)})
		c := s.client()
		if _, err := c.Head(t.Context(), s.remote(t), git.HEAD, Dialect{}); err != nil {
			t.Fatal(err)
		}
		if head, err := c.Head(
			t.Context(), s.remote(t), git.HEAD, Dialect{},
		); !errors.Is(err, ErrUnavailable) || head != (Head{}) {
			t.Errorf("never unchanged: got %v, %v", head, err)
		}
	})
	t.Run("the API's branch after a first push", func(t *testing.T) {
		s := newServer(t, map[string]http.HandlerFunc{packPath: unserved(),
			apiRepo: jsonOf(200, repoJSON("main", "sha1")),
			apiRepo + "/branches/main": inTurn(fails,
				jsonOf(200, `{"name":"main","commit":{"id":"`+shaA+`"}}`))})
		if head, err := s.client().Head(t.Context(), s.remote(t), git.HEAD, usual); err != nil ||
			head.Revision.String() != shaA {
			t.Errorf("got %v, %v", head, err)
		}
	})
	t.Run("a wait beyond the deadline", func(t *testing.T) {
		s := newServer(t,
			map[string]http.HandlerFunc{packPath: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Retry-After", "3600")
				answer(503, "text/html", "")(w, r)
			}})
		if _, err := s.client().Head(t.Context(), s.remote(t), git.HEAD, Dialect{}); !errors.Is(err,
			ErrUnavailable) || len(s.seen()) != 1 {
			t.Errorf("got %v after %d requests", err, len(s.seen()))
		}
	})
}

func TestBackoffGrows(t *testing.T) {
	for n := range 5 {
		least := firstBackoff << n
		for range 20 {
			if got := defaultBackoff(n); got < least || got >= least*3/2 {
				t.Errorf("wait %d is %s", n, got)
			}
		}
	}
}

func TestFault24_DeniedAndLimited(t *testing.T) {
	const env = "MOLECULE_GITEA_TOKEN"
	denied := answer(401, "text/plain", "Unauthorized")
	for name, tc := range map[string]struct {
		pack, api http.HandlerFunc
		token     string
		want      error
		text      string
	}{
		"401, no token, another forge": {denied, nil, "", ErrUnauthorized, "set " + env},
		"401, token, another forge": {denied, nil, "x", ErrUnauthorized, "the token in " +
			env + " was rejected"},
		"401, no token, missing or private": {denied, jsonOf(404, apiNotFound), "", ErrNotFound,
			"set " + env},
		"403, token, missing or private": {answer(403, "text/plain", ""), jsonOf(404, apiNotFound),
			"x", ErrNotFound, "may not read it"},
		"401, bad token": {denied, jsonOf(401, apiUnauthorized), "x",
			ErrUnauthorized, "the token in " + env + " was rejected"},
		"401, sign-in required": {denied,
			jsonOf(403, `{"message":"Only signed in user is allowed to call APIs."}`), "",
			ErrUnauthorized, "set " + env},
		"403, scope missing": {answer(403, "text/plain", ""),
			jsonOf(403, `{"message":"token does not have read:repository"}`), "x", ErrUnauthorized,
			"read:repository"},
		"403, the API is open": {answer(403, "text/plain", "no git here"),
			jsonOf(200, repoJSON("main", "sha1")), "x", ErrUnauthorized, "no git here"},
		"401, the API fails": {denied, jsonOf(500, `{}`), "x", ErrUnauthorized, env},
		"404 in JSON that isn't Gitea's": {denied, jsonOf(404, `{"error":"404 Not Found"}`), "x",
			ErrUnauthorized, "was rejected"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, map[string]http.HandlerFunc{packPath: tc.pack, apiRepo: tc.api})
			head, err := s.clientWithToken(tc.token).Head(t.Context(), s.remote(t), git.HEAD, usual)
			if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) ||
				!strings.Contains(err.Error(), env) || head != (Head{}) {
				t.Errorf("got %v, %v", head, err)
			}
		})
	}
}

func TestFault24_VariableOfTheHost(t *testing.T) {
	denied := answer(401, "text/plain", "Unauthorized")
	s := newServer(t, map[string]http.HandlerFunc{packPath: denied})
	c := s.clientWithToken("x", WithTokenHint(func(host string) string {
		return "TOKEN_OF_" + host
	}))
	if _, err := c.Head(
		t.Context(), s.remote(t), git.HEAD, Dialect{},
	); !strings.Contains(fmt.Sprint(err), "TOKEN_OF_"+s.host()) {
		t.Errorf("got %v", err)
	}
}

func TestFault24_DeniedAfterAnAnswer(t *testing.T) {
	denied := answer(401, "text/plain", "Unauthorized")
	s := newServer(t, map[string]http.HandlerFunc{packPath: inTurn(headMain(), denied)})
	c := s.client()
	if _, err := c.Head(t.Context(), s.remote(t), git.HEAD, Dialect{}); err != nil {
		t.Fatal(err)
	}
	if head, err := c.Head(
		t.Context(), s.remote(t), git.HEAD, Dialect{},
	); !errors.Is(err, ErrUnauthorized) || head != (Head{}) {
		t.Errorf("never a stale commit: got %v, %v", head, err)
	}
}

func TestFault24_RetryAfter(t *testing.T) {
	date := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	for _, tc := range []struct {
		status   int
		header   string
		from, to time.Duration
	}{
		{429, "", 0, 0},
		{429, "7", 7 * time.Second, 7 * time.Second},
		{403, "7", 7 * time.Second, 7 * time.Second},
		{429, date, 59 * time.Minute, time.Hour},
		{429, "Mon, 02 Jan 2006 15:04:05 GMT", 0, 0},
		{429, "-5", 0, 0},
		{429, "soon", 0, 0},
		{429, "4000000000", 24 * time.Hour, 24 * time.Hour},
	} {
		s := newServer(t,
			map[string]http.HandlerFunc{packPath: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Retry-After", tc.header)
				answer(tc.status, "text/plain", "")(w, r)
			}})
		_, err := s.client().Head(t.Context(), s.remote(t), git.HEAD, Dialect{})
		var limited *RateLimitError
		if !errors.Is(err, ErrRateLimited) || !errors.As(err, &limited) ||
			limited.RetryAfter < tc.from || limited.RetryAfter > tc.to {
			t.Errorf("%d %q: %v", tc.status, tc.header, err)
		}
		if n := len(s.seen()); n != 1 {
			t.Errorf("asked %d times", n)
		}
	}
}

func TestFault27_TokenEchoed(t *testing.T) {
	basic := base64.StdEncoding.EncodeToString([]byte("x-access-token:" + canary))
	echo := "your token is " + canary + ", " + url.QueryEscape(canary) + ", " + basic + ", " +
		strings.Repeat("x", 90) + canary
	quotedEcho := fmt.Sprintf("%q", echo)
	for name, routes := range map[string]map[string]http.HandlerFunc{
		"ERR line":   {packPath: result(pkt("ERR " + echo))},
		"ref line":   {packPath: result(pkt(echo) + "0000")},
		"plain text": {packPath: answer(403, "text/plain", echo)},
		"JSON message": {packPath: answer(401, "text/plain", ""),
			apiRepo: jsonOf(401, `{"message":`+quotedEcho+`}`)},
		"JSON key": {packPath: unserved(),
			apiRepo: jsonOf(200, `{`+quotedEcho+`:1,`+quotedEcho+`:2}`)},
		"default branch": {packPath: unserved(),
			apiRepo: jsonOf(200, `{"default_branch":`+quotedEcho+`}`)},
		"content type":   {packPath: answer(200, echo, "")},
		"login redirect": {packPath: redirect(302, "/login/"+url.PathEscape(echo))},
		"other host":     {packPath: redirect(302, "https://"+url.QueryEscape(canary)+".example/")},
		"moved":          {packPath: redirect(301, "/acme/"+"t0ken-t0ken"+".git/git-upload-pack")},
	} {
		t.Run(name, func(t *testing.T) {
			token := canary
			if name == "moved" {
				token = "t0ken-t0ken" // the other one can't be a part of a repository's URL
			}
			s := newServer(t, routes)
			_, err := s.clientWithToken(token).Head(t.Context(), s.remote(t), git.HEAD, Dialect{})
			if err == nil {
				t.Fatal("no error")
			}
			for _, form := range []string{token, url.QueryEscape(token), url.PathEscape(token),
				basic, "c4n4ry", "t0ken", basic[24:40]} {
				if text := fmt.Sprintf("%v %+v %q", err, err, err); strings.Contains(text, form) {
					t.Errorf("%q is in %s", form, text)
				}
			}
		})
	}
}

func TestServersTextIsHarmless(t *testing.T) {
	s := newServer(t, map[string]http.HandlerFunc{packPath: answer(403, "text/plain",
		"\x1b[2J\u202eevil"+strings.Repeat("y", 60<<10))})
	_, err := s.client().Head(t.Context(), s.remote(t), git.HEAD, Dialect{})
	if text := fmt.Sprint(err); strings.ContainsAny(text, "\x1b\u202e") || len(text) > 2100 {
		t.Errorf("%d bytes: %.200q", len(text), text)
	}
}
