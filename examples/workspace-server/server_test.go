package main

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/moby/moby/client"

	"git.moleculesai.app/molecule-ai/pinion"
)

// roundTripper is an engine in one function.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestContainerThatDoesNotStartIsRemoved has an engine that uses up all the time.
func TestContainerThatDoesNotStartIsRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		removed := 0
		engine := roundTripper(func(r *http.Request) (*http.Response, error) {
			if err := r.Context().Err(); err != nil {
				return nil, err
			}
			answer := func(status int, body string) (*http.Response, error) {
				return &http.Response{StatusCode: status,
					Header: http.Header{"Content-Type": {"application/json"}},
					Body:   io.NopCloser(strings.NewReader(body)), Request: r}, nil
			}
			switch {
			case strings.HasSuffix(r.URL.Path, "/containers/create"):
				return answer(http.StatusCreated, `{"Id":"c1"}`)
			case strings.HasSuffix(r.URL.Path, "/containers/c1/start"):
				<-r.Context().Done()
				return nil, r.Context().Err()
			case r.Method == http.MethodDelete && strings.HasSuffix(r.URL.Path, "/containers/c1"):
				removed++
				return answer(http.StatusNoContent, "")
			}
			return nil, errors.New("unexpected request: " + r.Method + " " + r.URL.Path)
		})
		api, err := client.New(client.WithHTTPClient(&http.Client{Transport: engine}),
			client.WithAPIVersion("1.47"))
		if err != nil {
			t.Fatal(err)
		}
		s := &server{engine: api}
		if err := s.start(t.Context(), request{WorkspaceID: "w"}, pinion.Image{ID: "sha256:1"},
			lines{}); err == nil || removed != 1 {
			t.Errorf("%v; removed %d times", err, removed)
		}
	})
}
