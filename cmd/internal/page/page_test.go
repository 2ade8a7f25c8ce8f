package page

import (
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestFiles: the page and each of its files has its type and the policy, and there is no list.
func TestFiles(t *testing.T) {
	types := map[string]string{".html": "text/html", ".css": "text/css", ".js": "text/javascript",
		".svg": "image/svg+xml"}
	get := func(at string) *http.Response {
		w := httptest.NewRecorder()
		Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, at, http.NoBody))
		return w.Result()
	}
	want := map[string]string{"/": "text/html"}
	if err := fs.WalkDir(assets, "assets", func(at string, e fs.DirEntry, err error) error {
		if name := path.Base(at); !e.IsDir() && name != "index.html" {
			want[Dir+name] = types[path.Ext(name)]
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for at, kind := range want {
		resp := get(at)
		if resp.StatusCode != http.StatusOK || kind == "" ||
			!strings.HasPrefix(resp.Header.Get("Content-Type"), kind) ||
			!strings.HasPrefix(resp.Header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: %d, %v", at, resp.StatusCode, resp.Header)
		}
	}
	for _, at := range []string{Dir, Dir + "nothing.js", "/page/../sessions.go"} {
		if resp := get(at); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s is answered by %d", at, resp.StatusCode)
		}
	}
}

// TestNoOtherHost: the files name no other host to load from, and put no text into HTML.
func TestNoOtherHost(t *testing.T) {
	bad := regexp.MustCompile(`(?i)(src|href|url\(|import|from|fetch\()\s*=?\s*["'(]*https?:` +
		`|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|\bstyle=`)
	if err := fs.WalkDir(assets, "assets", func(at string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := fs.ReadFile(assets, at)
		if found := bad.Find(text); found != nil {
			t.Errorf("%s has %s", at, found)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func TestSessionsExpire(t *testing.T) {
	now := time.Unix(1, 0)
	s := &Sessions{now: func() time.Time { return now }}
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	w := httptest.NewRecorder()
	opened := s.Open(w, r, "ci")
	cookie := w.Result().Cookies()[0]
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Secure {
		t.Errorf("the cookie is %v", cookie)
	}
	r.AddCookie(cookie)
	now = now.Add(lifetime - 1)
	if got, ok := s.Of(r); !ok || got.Form != opened.Form || got.Caller != "ci" {
		t.Errorf("the session is %+v, %t", got, ok)
	}
	now = now.Add(lifetime)
	if _, ok := s.Of(r); ok || len(s.byID) > 0 {
		t.Error("the session has not expired")
	}

	first := httptest.NewRecorder()
	s.Open(first, r, "")
	for range maxSessions {
		now = now.Add(time.Second)
		s.Open(httptest.NewRecorder(), r, "")
	}
	again := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	again.AddCookie(first.Result().Cookies()[0])
	if _, ok := s.Of(again); ok || len(s.byID) != maxSessions {
		t.Errorf("there are %d sessions, the first one: %t", len(s.byID), ok)
	}
}

// TestCookies: the cookies of two servers on one host do not meet, and one over TLS stays there.
func TestCookies(t *testing.T) {
	names := map[string]bool{}
	for _, host := range []string{"127.0.0.1:1", "127.0.0.1:2"} {
		r := httptest.NewRequest(http.MethodGet, "http://"+host+"/", http.NoBody)
		r.Header.Set("X-Forwarded-Proto", "https")
		w := httptest.NewRecorder()
		new(Sessions).Open(w, r, "")
		c := w.Result().Cookies()[0]
		if names[c.Name] = true; !c.Secure {
			t.Errorf("the cookie is %v", c)
		}
	}
	if len(names) != 2 {
		t.Errorf("the names are %v", names)
	}
}

func TestCheck(t *testing.T) {
	s := Session{Form: "secret"}
	for _, c := range []struct {
		method, form string
		want         error
	}{{http.MethodGet, "", nil}, {http.MethodPost, "secret", nil}, {http.MethodPost, "", ErrForged},
		{http.MethodDelete, "secre", ErrForged}} {
		r := httptest.NewRequest(c.method, "/", http.NoBody)
		r.Header.Set(FormHeader, c.form)
		if err := s.Check(r); !errors.Is(err, c.want) {
			t.Errorf("%s %q: %v", c.method, c.form, err)
		}
	}
}
