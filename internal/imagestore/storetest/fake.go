package storetest

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// Fake is an engine in this process. It is safe for concurrent use.
type Fake struct {
	kind       imagestore.Kind
	apiVersion string
	server     *httptest.Server
	socket     string

	mu        sync.Mutex
	images    map[string]fakeImage // by ID
	tags      map[string]string    // full name with tag -> ID
	published map[string]published // full name with tag
	handlers  map[string]http.HandlerFunc
	requests  []string
	queries   []string
}

type fakeImage struct {
	id      string
	archive loaded
}

type published struct {
	archive        Archive
	user, password string
}

// StartFake starts an engine that stores images in the given way and speaks
// the Engine API up to apiVersion, for example "1.41". It ends with the test.
func StartFake(t testing.TB, kind imagestore.Kind, apiVersion string) *Fake {
	t.Helper()
	// A socket's path has at most 104 bytes on some systems; t.TempDir is long.
	dir, err := os.MkdirTemp("", "fake")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	f := &Fake{
		kind: kind, apiVersion: apiVersion, socket: filepath.Join(dir, "d.sock"),
		images: map[string]fakeImage{}, tags: map[string]string{},
		published: map[string]published{}, handlers: map[string]http.HandlerFunc{},
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", f.socket)
	if err != nil {
		t.Fatal(err)
	}
	f.server = httptest.NewUnstartedServer(f.record(f.routes()))
	_ = f.server.Listener.Close()
	f.server.Listener = listener
	f.server.Start()
	t.Cleanup(f.Stop)
	return f
}

// Host is the engine's address, as DOCKER_HOST takes it.
func (f *Fake) Host() string { return "unix://" + f.socket }

// Stop ends the engine; connections break.
func (f *Fake) Stop() {
	f.server.CloseClientConnections()
	f.server.Close()
}

// Handle replaces the answer to one method and path, without the API version,
// for example "POST /images/load". nil brings the engine's own answer back.
func (f *Fake) Handle(methodAndPath string, h http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.handlers[methodAndPath] = h
}

// Publish puts an image into the registries that this engine reaches. user and
// password may be "" for a public one.
func (f *Fake) Publish(ref string, archive Archive, user, password string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.published[fullName(ref)] = published{archive, user, password}
}

// Requests are method and path (without the API version and the query) of the
// requests so far.
func (f *Fake) Requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.requests)
}

// Queries are the raw queries of the requests so far, in the same order.
func (f *Fake) Queries() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.queries)
}

// Names are those of all images, in order.
func (f *Fake) Names() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var names []string
	for id := range f.images {
		names = append(names, f.tagsOf(id)...)
	}
	slices.Sort(names)
	return names
}

var versionPrefix = regexp.MustCompile(`^/v[0-9.]+`)

// record notes each request, and takes the API version off its path.
func (f *Fake) record(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", f.apiVersion)
		r.URL.Path = versionPrefix.ReplaceAllString(r.URL.Path, "")
		route := r.Method + " " + r.URL.Path
		f.mu.Lock()
		f.requests = append(f.requests, route)
		f.queries = append(f.queries, r.URL.RawQuery)
		special := f.handlers[route]
		f.mu.Unlock()
		if special != nil {
			special(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, status int, text string) {
	answer(w, status, map[string]string{"message": text})
}
