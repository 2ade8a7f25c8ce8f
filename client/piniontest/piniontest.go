// Package piniontest has a server for the tests of programs that use the client. It has the
// interface of `pinion serve`, builds nothing, and needs neither Docker nor a git server.
//
//	fake := piniontest.NewServer()
//	defer fake.Close()
//	fake.Set("claude-code", piniontest.Template{Log: []string{"Collecting wheels"}})
//	fake.Set("hermes", piniontest.Template{Failure: &client.Failure{
//		Class: client.ClassBuild, Message: "Dockerfile:3: RUN pip: exit code 1"}})
//	images := fake.Client()
package piniontest

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/client"
)

// Template is what a [Server] does with the requests for a name. The zero value is of a template
// that is built at once by the first request, and that is a hit from then on.
type Template struct {
	// Image is the image. Missing fields are filled in. With the outcome "hit" or "pulled" the
	// first request gets it without a build.
	Image client.Image
	// Failure, unless it is nil, is the end of each request. Look-ups fail at once; the other
	// classes are failures of a build.
	Failure *client.Failure
	// Log has the lines that the build prints. They are the log of its failure, too.
	Log []string
	// Release ends the build when it is closed. nil ends it at once.
	Release <-chan struct{}
}

// failure returns the end of a build, with what it printed.
func (t Template) failure() *client.Failure {
	if t.Failure == nil || len(t.Failure.Log) > 0 {
		return t.Failure
	}
	f := *t.Failure
	f.Log = t.Log
	return &f
}

// Server is a fake of `pinion serve`.
type Server struct {
	http *httptest.Server

	mu        sync.Mutex
	templates map[string]Template
	made      map[string]bool // names whose images are in the store
	requests  map[string]int
	builds    []*build // by start
}

// NewServer starts a server on loopback. The caller must close it.
func NewServer() *Server {
	s := &Server{templates: map[string]Template{}, made: map[string]bool{},
		requests: map[string]int{}}
	s.http = httptest.NewServer(s.Handler())
	return s
}

// Close ends the server and cancels its builds.
func (s *Server) Close() {
	s.mu.Lock()
	for _, b := range s.builds {
		b.leave()
	}
	s.mu.Unlock()
	s.http.CloseClientConnections()
	s.http.Close()
}

// URL returns the server's address.
func (s *Server) URL() string { return s.http.URL }

// Client returns a client of the server.
func (s *Server) Client() *client.Client {
	c, err := client.New(s.http.URL)
	if err != nil {
		panic(err) // httptest has made the URL
	}
	return c
}

// Set adds a template to the catalogue or replaces it, and forgets its image.
func (s *Server) Set(name string, t Template) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.templates[name] = t
	delete(s.made, name)
}

// Requests returns the number of requests for an image.
func (s *Server) Requests(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests[name]
}

// Builds returns the number of builds of a template that were started.
func (s *Server) Builds(name string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.builds {
		if b.name == name {
			n++
		}
	}
	return n
}

// Handler returns the handler of all requests, for a server of one's own.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	ready := func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
	}
	mux.HandleFunc("GET /healthz", ready)
	mux.HandleFunc("GET /readyz", ready)
	mux.HandleFunc("GET /v1/templates", s.listTemplates)
	mux.HandleFunc("GET /v1/images", s.listImages)
	mux.HandleFunc("POST /v1/images/{name}", s.ensure)
	mux.HandleFunc("GET /v1/builds", s.listBuilds)
	mux.HandleFunc("GET /v1/builds/{id}", s.showBuild)
	mux.HandleFunc("DELETE /v1/builds/{id}", s.withdraw)
	mux.HandleFunc("GET /v1/builds/{id}/events", s.stream)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, r, http.StatusNotFound, "no-such-route", "There is no such route")
	})
	return mux
}

// complete fills in the missing fields of a template's image.
func complete(name string, img client.Image) client.Image {
	digest := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return hex.EncodeToString(sum[:])
	}
	fill := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	img.Schema = 1
	fill(&img.Name, name)
	fill(&img.Mode, "local-build")
	fill(&img.Outcome, client.OutcomeBuilt)
	fill(&img.ID, "sha256:"+digest("image "+name))
	fill(&img.Platform, "linux/amd64")
	if img.Mode == "local-build" {
		fill(&img.Revision, digest("revision " + name)[:40])
		fill(&img.Repository, "https://git.example.com/molecule-ai/template-"+name)
		fill(&img.Reference, "molecule-local/workspace-template-"+name+":"+img.Revision[:12])
	}
	if img.Outcome == client.OutcomeBuilt && img.Builder == nil {
		img.Builder = &client.Builder{Kind: "docker", Endpoint: "unix:///fake", Version: "v0"}
		img.Fetch = &client.Fetch{Strategy: "commit"}
		img.Delivery = &client.Delivery{Method: "moby"}
	}
	if img.Durations == nil {
		img.Durations = map[string]int64{"resolve": 0, "total": 1}
	}
	return img
}

// hit returns the image as a later request gets it.
func hit(img client.Image) client.Image {
	img.Outcome, img.Builder, img.Fetch, img.Delivery = client.OutcomeHit, nil, nil, nil
	return img
}

func now() time.Time { return time.Now().UTC() }
