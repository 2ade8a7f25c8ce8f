package client_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/client"
)

// script answers requests for an image with an accepted build, and each request for its events with
// the next part.
func script(t *testing.T, parts ...string) (*client.Client, *[]string) {
	t.Helper()
	var asked []string // the Last-Event-ID of each request
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/images/{name}", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprint(w, `{"schema":1,"interest":"i","build":{"id":"b","state":"running","new":{}}}`)
	})
	mux.HandleFunc("DELETE /v1/builds/b", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /v1/builds/b/events", func(w http.ResponseWriter, r *http.Request) {
		n := len(asked)
		asked = append(asked, r.Header.Get("Last-Event-ID"))
		w.Header().Set("Content-Type", "text/event-stream")
		if n < len(parts) {
			fmt.Fprint(w, parts[n])
		}
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return newClient(t, s.URL), &asked
}

const (
	firstPart = ": events of a build\n\nid: 1\nevent: resolved\ndata: {\"id\":1,\"type\":" +
		"\"resolved\",\"name\":\"x\"}\n\n"
	donePart = "id: 2\nevent: done\ndata: {\"id\":2,\"type\":\"done\",\"name\":\"x\",\"image\":" +
		"{\"image_id\":\"sha256:1\",\"later\":true}}\n\n"
)

func TestBrokenStreamGoesOnBehindTheLastEvent(t *testing.T) {
	c, asked := script(t, firstPart+"id: 2\nda", donePart)
	img, err := c.Ensure(t.Context(), "x", nil)
	if err != nil || img.ID != "sha256:1" {
		t.Errorf("got %+v, %v", img, err)
	}
	if got := strings.Join(*asked, " "); got != "0 1" {
		t.Errorf("asked for events behind %s", got)
	}
}

func TestStreamThatAlwaysBreaks(t *testing.T) {
	c, asked := script(t, firstPart)
	var types []string
	_, err := c.Ensure(t.Context(), "x", func(e client.Event) { types = append(types, e.Type) })
	if err == nil || len(*asked) < 3 || strings.Join(types, " ") != "resolved failed" {
		t.Errorf("%v after %d tries, events %v", err, len(*asked), types)
	}
}

func TestMalformedEvent(t *testing.T) {
	c, _ := script(t, "data: {\n\n", "data: {\n\n", "data: {\n\n", "data: {\n\n", "data: {\n\n")
	if _, err := c.Ensure(t.Context(), "x", nil); !errors.Is(err, client.ErrNoServer) {
		t.Errorf("got %v", err)
	}
}

func TestUnknownEventsArePassedOn(t *testing.T) {
	c, _ := script(t, "data: {\"id\":1,\"type\":\"unheard\",\"name\":\"x\",\"more\":[]}\n\n"+
		donePart)
	var types []string
	_, err := c.Ensure(t.Context(), "x", func(e client.Event) { types = append(types, e.Type) })
	if err != nil || strings.Join(types, " ") != "unheard done" {
		t.Errorf("%v, events %v", err, types)
	}
}
