package page

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httputil"
	"strconv"
	"sync"
	"time"
)

// linkLife is how long the link of a [Local] can be opened.
const linkLife = 10 * time.Minute

// Local serves, to one browser on this machine, the page of a server that browsers cannot reach.
// Only a browser that opened the link of [Local.Link] gets anything.
type Local struct {
	host     string
	proxy    *httputil.ReverseProxy
	sessions Sessions

	mu    sync.Mutex
	once  string // empty once the link was opened
	until time.Time
}

// NewLocal returns the page at that host, such as 127.0.0.1:7467. proxy passes requests on to the
// server.
func NewLocal(host string, proxy *httputil.ReverseProxy) *Local {
	l := &Local{host: host, proxy: proxy, once: rand.Text(), until: time.Now().Add(linkLife)}
	proxy.ModifyResponse = replaceForm
	return l
}

// Link returns the address that opens the page, once.
func (l *Local) Link() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return "http://" + l.host + "/open?once=" + l.once
}

// formKey is the key of the form's secret in the context of a request that is passed on.
type formKey struct{}

// ServeHTTP implements http.Handler. The name of the host is checked, since another site could have
// its own name lead to this machine.
func (l *Local) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	SetHeader(w.Header())
	if r.Host != l.host {
		http.Error(w, "this is the page of "+l.host, http.StatusMisdirectedRequest)
		return
	}
	if r.URL.Path == "/open" {
		l.open(w, r)
		return
	}
	session, ok := l.sessions.Of(r)
	switch {
	case !ok:
		http.Error(w, "run `pinion page` and open the link that it prints", http.StatusForbidden)
	case CheckOrigin(r) != nil || session.Check(r) != nil:
		http.Error(w, ErrForged.Error(), http.StatusForbidden)
	case r.URL.Path == "/v1/session" && r.Method == http.MethodDelete:
		l.sessions.Close(w, r)
		w.WriteHeader(http.StatusNoContent)
	default:
		for name := range w.Header() {
			w.Header().Del(name) // the server sets them
		}
		ctx := context.WithValue(r.Context(), formKey{}, session.Form)
		l.proxy.ServeHTTP(w, r.WithContext(ctx))
	}
}

// open begins the session of the browser that has the link.
func (l *Local) open(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	once := r.URL.Query().Get("once")
	ok := l.once != "" && time.Now().Before(l.until) &&
		subtle.ConstantTimeCompare([]byte(once), []byte(l.once)) == 1
	if ok {
		l.once = ""
	}
	l.mu.Unlock()
	if !ok {
		http.Error(w, "the link was opened before or is too old; run `pinion page` again",
			http.StatusForbidden)
		return
	}
	l.sessions.Open(w, r, true)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// replaceForm gives the page the secret of its own session instead of that of the server's.
func replaceForm(resp *http.Response) error {
	if resp.Request.URL.Path != "/v1/session" || resp.StatusCode != http.StatusOK {
		return nil
	}
	var state map[string]any
	err := json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(&state)
	if closed := resp.Body.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	state["form"] = resp.Request.Context().Value(formKey{})
	text, err := json.Marshal(state)
	if err != nil {
		return err
	}
	resp.Body = io.NopCloser(bytes.NewReader(text))
	resp.ContentLength = int64(len(text))
	resp.Header.Set("Content-Length", strconv.Itoa(len(text)))
	return nil
}
