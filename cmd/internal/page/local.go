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

// sessionPath is where the page asks for its session.
const sessionPath = "/v1/session"

// formKey is the key of the form's secret in the context of a request for the session.
type formKey struct{}

// ServeHTTP implements http.Handler. The name of the host is checked, since another site could have
// its own name lead to this machine.
func (l *Local) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	SetHeader(w.Header())
	if r.Host != l.host && r.Host+":80" != l.host {
		refuse(w, http.StatusMisdirectedRequest, "this is the page of "+l.host)
		return
	}
	if r.URL.Path == "/open" {
		l.open(w, r)
		return
	}
	session, ok := l.sessions.Of(r)
	switch {
	case !ok:
		refuse(w, http.StatusUnauthorized, "run `pinion page` and open the link that it prints")
	case CheckOrigin(r) != nil || session.Check(r) != nil:
		refuse(w, http.StatusForbidden, ErrForged.Error())
	case r.URL.Path == sessionPath && !isRead(r):
		refuse(w, http.StatusConflict, "the page has the session of its link")
	default:
		clear(w.Header()) // the server sets it
		if r.URL.Path == sessionPath {
			r = r.WithContext(context.WithValue(r.Context(), formKey{}, session.Form))
		}
		l.proxy.ServeHTTP(w, r)
	}
}

// refuse writes a problem in the form of RFC 9457.
func refuse(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{ // the browser may have left
		"type": "about:blank", "title": http.StatusText(status), "status": status,
		"detail": detail})
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
		refuse(w, http.StatusForbidden,
			"the link was opened before or is too old; run `pinion page` again")
		return
	}
	l.sessions.Open(w, r, "")
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// replaceForm gives the page the secret of its own session instead of that of the server's.
func replaceForm(resp *http.Response) error {
	form, ok := resp.Request.Context().Value(formKey{}).(string)
	if !ok || resp.StatusCode != http.StatusOK {
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
	state["form"], state["local"] = form, true
	text, err := json.Marshal(state)
	if err != nil {
		return err
	}
	resp.Body = io.NopCloser(bytes.NewReader(text))
	resp.ContentLength = int64(len(text))
	resp.Header.Set("Content-Length", strconv.Itoa(len(text)))
	return nil
}
