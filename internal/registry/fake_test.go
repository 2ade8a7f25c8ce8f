package registry_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
)

// fake is a registry with one repository, team/x, as the OCI distribution spec says, and with the
// habits that a test gives it.
type fake struct {
	*httptest.Server
	host string

	mu        sync.Mutex
	uploads   map[string][]byte
	blobs     map[digest.Digest][]byte
	manifests map[string][]byte // by digest and by tag
	kinds     map[string]string
	requests  []string // method and path of those that write
	largest   int
	// hook may answer a request itself. It is called with the lock held.
	hook func(w http.ResponseWriter, r *http.Request, body []byte) bool
	// minLength is what a registry asks for, if it is not 0.
	minLength int
}

func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{uploads: map[string][]byte{}, blobs: map[digest.Digest][]byte{},
		manifests: map[string][]byte{}, kinds: map[string]string{}}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	f.host = strings.TrimPrefix(f.URL, "http://")
	return f
}

// ServeHTTP implements http.Handler.
func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.largest = max(f.largest, len(body))
	if r.Method != http.MethodHead && r.Method != http.MethodGet {
		f.requests = append(f.requests, r.Method+" "+strings.TrimPrefix(r.URL.Path, "/v2/team/x"))
	}
	if f.hook != nil && f.hook(w, r, body) {
		return
	}
	path, ok := strings.CutPrefix(r.URL.Path, "/v2/team/x/")
	switch kind, name, _ := strings.Cut(path, "/"); {
	case !ok:
		http.NotFound(w, r)
	case path == "blobs/uploads/" && r.Method == http.MethodPost:
		id := strconv.Itoa(len(f.requests))
		f.uploads[id] = nil
		if f.minLength > 0 {
			w.Header().Set("OCI-Chunk-Min-Length", strconv.Itoa(f.minLength))
		}
		f.place(w, id, http.StatusAccepted)
	case strings.HasPrefix(path, "blobs/uploads/"):
		f.upload(w, r, path, body)
	case kind == "blobs":
		found, ok := f.blobs[digest.Digest(name)]
		f.answer(w, found, "", ok)
	case r.Method == http.MethodPut:
		d := digest.FromBytes(body).String()
		for _, key := range []string{d, name} {
			f.manifests[key], f.kinds[key] = body, r.Header.Get("Content-Type")
		}
		w.WriteHeader(http.StatusCreated)
	default:
		found, ok := f.manifests[name]
		f.answer(w, found, f.kinds[name], ok)
	}
}

func (f *fake) answer(w http.ResponseWriter, body []byte, kind string, ok bool) {
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Docker-Content-Digest", digest.FromBytes(body).String())
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}

// place says where an upload goes on; each answer has another place.
func (f *fake) place(w http.ResponseWriter, id string, status int) {
	w.Header().Set("Location", fmt.Sprintf("/v2/team/x/blobs/uploads/%s?state=%d", id,
		len(f.uploads[id])))
	w.Header().Set("Range", fmt.Sprintf("0-%d", max(len(f.uploads[id])-1, 0)))
	w.WriteHeader(status)
}

func (f *fake) upload(w http.ResponseWriter, r *http.Request, path string, body []byte) {
	id := strings.TrimPrefix(path, "blobs/uploads/")
	have, ok := f.uploads[id]
	switch {
	case !ok:
		w.WriteHeader(http.StatusNotFound)
	case r.Method == http.MethodGet:
		f.place(w, id, http.StatusNoContent)
	case r.URL.Query().Get("state") != strconv.Itoa(len(have)):
		w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
	case r.Method == http.MethodPatch:
		if want := fmt.Sprintf("%d-%d", len(have), len(have)+len(body)-1); r.Header.Get(
			"Content-Range") != want {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		f.uploads[id] = append(have, body...)
		f.place(w, id, http.StatusAccepted)
	default:
		whole := append(slices.Clone(have), body...)
		d := digest.FromBytes(whole)
		if d.String() != r.URL.Query().Get("digest") {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		f.blobs[d] = whole
		delete(f.uploads, id)
		w.WriteHeader(http.StatusCreated)
	}
}

// limit makes requests fail whose body is larger, as a proxy does.
func limit(bytes int) func(http.ResponseWriter, *http.Request, []byte) bool {
	return func(w http.ResponseWriter, _ *http.Request, body []byte) bool {
		if len(body) <= bytes {
			return false
		}
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		_, _ = w.Write([]byte("<html><h1>413 Request Entity Too Large</h1></html>"))
		return true
	}
}

// count is how many of the requests that write have that method.
func (f *fake) count(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, r := range f.requests {
		if strings.HasPrefix(r, method+" ") {
			n++
		}
	}
	return n
}

// content is n bytes that no piece of them repeats.
func content(n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%d ", i)
	}
	return b.Bytes()[:n]
}
