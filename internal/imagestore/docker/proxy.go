package docker

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// proxyRefusal is an answer that does not come from an engine but from a program before it, such as
// one that lets some requests through, or from what is there in its place.
type proxyRefusal struct {
	request string // method and path
	status  int
}

// noteKey is the key of a context's note.
type noteKey struct{}

// withNote returns a context whose requests note such an answer. The client's errors have no room
// for more than the text of the answer, which may be a page of HTML.
func withNote(ctx context.Context) context.Context {
	return context.WithValue(ctx, noteKey{}, &atomic.Pointer[proxyRefusal]{})
}

// noteOf returns what a request with that context has noted, or nil.
func noteOf(ctx context.Context) *proxyRefusal {
	note, ok := ctx.Value(noteKey{}).(*atomic.Pointer[proxyRefusal])
	if !ok {
		return nil
	}
	return note.Load()
}

// noteProxy is called for each answer.
func noteProxy(resp *http.Response) {
	if fromEngine(resp) || resp.Request == nil {
		return
	}
	note, ok := resp.Request.Context().Value(noteKey{}).(*atomic.Pointer[proxyRefusal])
	if !ok {
		return
	}
	note.Store(&proxyRefusal{resp.Request.Method + " " + withoutVersion(resp.Request.URL.Path),
		resp.StatusCode})
}

// fromEngine reports whether an engine made the answer. Engines set Api-Version (moby,
// daemon/server/middleware/version.go) except for a path that they do not know, which old ones
// answer in JSON.
func fromEngine(resp *http.Response) bool {
	if resp.Header.Get("Api-Version") != "" {
		return true
	}
	switch resp.StatusCode {
	case http.StatusSwitchingProtocols, http.StatusInternalServerError:
		return true // proxies say 502, 503 or 504, and the text of this one says what happened
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusMethodNotAllowed:
		return false
	}
	return strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json")
}

// error returns the refusal as the error of a request to the engine at an endpoint.
func (r *proxyRefusal) error(endpoint string) error {
	text := "what stands before the engine at " + endpoint
	status := fmt.Sprintf("%d %s", r.status, http.StatusText(r.status))
	switch {
	case r.status < http.StatusBadRequest:
		return errdef.In(errdef.NotAnEngine, "", fmt.Errorf(
			"no Docker engine answers at %s: the answer to %s is %s", endpoint, r.request, status))
	case r.status >= http.StatusInternalServerError:
		return errdef.In(errdef.EngineUnreachable, endpoint, fmt.Errorf(
			"%w: %s answers %s with %s", imagestore.ErrUnavailable, text, r.request, status))
	}
	return errdef.In(errdef.EngineFiltered, r.request,
		fmt.Errorf("%s refuses %s: %s", text, r.request, status))
}

// withoutVersion returns the path of a request without the API version.
func withoutVersion(path string) string {
	version, rest, ok := strings.Cut(strings.TrimPrefix(path, "/v"), "/")
	if ok && strings.HasPrefix(path, "/v") && strings.Trim(version, "0123456789.") == "" {
		return "/" + rest
	}
	return path
}
