package registry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/registry"
)

const secret = "canary-password"

// world is a registry at example.com over TLS, and servers elsewhere that count what credentials
// they see.
type world struct {
	tls, plain *httptest.Server // any host
	*fake

	mu   sync.Mutex
	seen map[string]bool // scheme://host of requests with the credential
	// challenge is what the registry answers to a request without a token.
	challenge string
	// elsewhere answers requests for other hosts than example.com.
	elsewhere http.HandlerFunc
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{fake: newFake(t), seen: map[string]bool{},
		elsewhere: func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"access_token":"token","token":"token"}`)
		}}
	w.tls, w.plain = httptest.NewTLSServer(w), httptest.NewServer(w)
	t.Cleanup(w.tls.Close)
	t.Cleanup(w.plain.Close)
	return w
}

func (w *world) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	_, password, _ := r.BasicAuth()
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	if strings.Contains(string(body), secret) || password == secret ||
		r.Header.Get("Authorization") == "Bearer token" {
		w.mu.Lock()
		w.seen[scheme+"://"+r.Host] = true
		w.mu.Unlock()
	}
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	switch {
	case r.Host != "example.com":
		w.elsewhere(out, r)
	case r.Header.Get("Authorization") == "":
		out.Header().Set("WWW-Authenticate", w.challenge)
		out.WriteHeader(http.StatusUnauthorized)
	default:
		w.fake.ServeHTTP(out, r)
	}
}

// push pushes an image to example.com with a password.
func (w *world) push(t *testing.T) error {
	t.Helper()
	login, err := registry.PasswordLogin("example.com", "user", secret)
	if err != nil {
		t.Fatal(err)
	}
	trusting, _ := w.tls.Client().Transport.(*http.Transport)
	r, err := registry.Open("example.com/team/x:1", login,
		registry.WithTransport(func(to *http.Transport) {
			to.Proxy = nil
			to.TLSClientConfig = trusting.TLSClientConfig
			to.TLSClientConfig.ServerName = "example.com"
			to.DialContext = func(ctx context.Context, _, addr string) (net.Conn, error) {
				server := w.tls
				if strings.HasSuffix(addr, ":80") {
					server = w.plain
				}
				var d net.Dialer
				return d.DialContext(ctx, "tcp", server.Listener.Addr().String())
			}
		}))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	_, err = r.Push(t.Context(), image(t, content(10), plain), nil)
	return err
}

// TestTheCredentialStaysWhereItBelongs: with the registry, and the token server that it names over
// TLS.
func TestTheCredentialStaysWhereItBelongs(t *testing.T) {
	bearer := func(realm string) string {
		return fmt.Sprintf(`Bearer realm=%q,service="example.com"`, realm)
	}
	redirect := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, to, http.StatusTemporaryRedirect)
		}
	}
	for _, c := range []struct {
		name, challenge string
		elsewhere       http.HandlerFunc
		hook            func(http.ResponseWriter, *http.Request, []byte) bool
		fails           bool
		seen            []string
	}{
		{name: "basic", challenge: `Basic realm="x"`, seen: []string{"https://example.com"}},
		{name: "token server", challenge: bearer("https://auth.example.net/token"),
			seen: []string{"https://example.com", "https://auth.example.net"}},
		{name: "token server over HTTP", challenge: bearer("http://auth.example.net/token"),
			fails: true},
		{name: "own host over HTTP", challenge: bearer("http://example.com/token"), fails: true},
		{name: "loopback over HTTP", challenge: bearer("http://127.0.0.1/token"), fails: true},
		{name: "token server that leads on", challenge: bearer("https://auth.example.net/token"),
			elsewhere: redirect("https://evil.example.org/token"), fails: true,
			seen: []string{"https://auth.example.net"}},
		{name: "token server that leads to HTTP",
			challenge: bearer("https://auth.example.net/token"),
			elsewhere: redirect("http://auth.example.net/token"), fails: true,
			seen: []string{"https://auth.example.net"}},
		{name: "blobs on a subdomain", challenge: `Basic realm="x"`,
			seen: []string{"https://example.com"},
			hook: func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
				if r.Method != http.MethodHead || !strings.Contains(r.URL.Path, "/blobs/") {
					return false
				}
				http.Redirect(w, r, "https://blobs.example.com/x", http.StatusTemporaryRedirect)
				return true
			}},
		{name: "upload elsewhere", challenge: `Basic realm="x"`, fails: true,
			seen: []string{"https://example.com"},
			hook: func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
				if !strings.HasSuffix(r.URL.Path, "/uploads/") {
					return false
				}
				w.Header().Set("Location", "https://uploads.example.com/x")
				w.WriteHeader(http.StatusAccepted)
				return true
			},
			elsewhere: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
				w.WriteHeader(http.StatusUnauthorized)
			}},
		{name: "upload over HTTP", challenge: `Basic realm="x"`, fails: true,
			seen: []string{"https://example.com"},
			hook: func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
				if !strings.HasSuffix(r.URL.Path, "/uploads/") {
					return false
				}
				w.Header().Set("Location", "http://example.com/x")
				w.WriteHeader(http.StatusAccepted)
				return true
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.challenge, w.hook = c.challenge, c.hook
			if c.elsewhere != nil {
				w.elsewhere = c.elsewhere
			}
			err := w.push(t)
			if (err != nil) != c.fails {
				t.Errorf("error %v", err)
			}
			if at, ok := errors.AsType[*imagestore.Error](err); c.fails && (!ok ||
				at.Origin != imagestore.OriginRegistry || strings.Contains(err.Error(), secret)) {
				t.Errorf("error %v", err)
			}
			for _, host := range c.seen {
				if !w.seen[host] {
					t.Errorf("%s did not see the credential", host)
				}
				delete(w.seen, host)
			}
			if len(w.seen) > 0 {
				t.Errorf("the credential went to %v", w.seen)
			}
		})
	}
}
