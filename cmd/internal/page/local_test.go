package page

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
)

// TestLocal: the link opens the page once, and without it, under another name, or from another
// site's page nothing reaches the server.
func TestLocal(t *testing.T) {
	var seen []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Method+" "+r.URL.Path)
		if r.URL.Path == "/v1/session" {
			_, _ = io.WriteString(w, `{"signed_in":true,"operator":true,"form":"the server's"}`)
		}
	}))
	defer server.Close()
	to, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewUnstartedServer(nil)
	local := NewLocal(front.Listener.Addr().String(), &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }})
	front.Config.Handler = local
	front.Start()
	defer front.Close()
	browser := func() *http.Client {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		return &http.Client{Jar: jar}
	}
	ask := func(c *http.Client, method, at string, header ...string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, at, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			if req.Header.Set(header[i], header[i+1]); header[i] == "Host" {
				req.Host = header[i+1]
			}
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	want := func(c *http.Client, status int, method, at string, header ...string) {
		t.Helper()
		if got, text := ask(c, method, at, header...); got != status {
			t.Errorf("%s %s %q: %d, want %d: %s", method, at, header, got, status, text)
		}
	}
	stranger, owner := browser(), browser()
	link := local.Link()
	want(stranger, 401, http.MethodGet, front.URL+"/")
	want(stranger, 403, http.MethodGet, front.URL+"/open?once=guess")
	want(stranger, 421, http.MethodGet, link, "Host", "rebound.example")
	if len(seen) > 0 {
		t.Fatalf("the server got %v", seen)
	}
	want(owner, 200, http.MethodGet, link)
	want(stranger, 403, http.MethodGet, link)
	want(stranger, 401, http.MethodGet, front.URL+"/v1/builds")
	_, text := ask(owner, http.MethodGet, front.URL+"/v1/session")
	_, form, _ := strings.Cut(text, `"form":"`)
	form, _, _ = strings.Cut(form, `"`)
	if form == "" || strings.Contains(text, "the server's") ||
		!strings.Contains(text, `"local":true`) {
		t.Errorf("the session is %s", text)
	}
	before := len(seen)
	want(owner, 403, http.MethodPost, front.URL+"/v1/prune")
	want(owner, 403, http.MethodPost, front.URL+"/v1/prune", FormHeader, form, "Sec-Fetch-Site",
		"cross-site")
	if len(seen) != before {
		t.Errorf("the server got %v", seen[before:])
	}
	want(owner, 200, http.MethodPost, front.URL+"/v1/prune", FormHeader, form)
	want(owner, 409, http.MethodPost, front.URL+"/v1/session", FormHeader, form)
}
