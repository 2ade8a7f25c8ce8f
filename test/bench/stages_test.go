package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/test/bench/stats"
)

func TestParseInits(t *testing.T) {
	got := parseInits("init internal/bytealg @0.01 ms, 0.25 ms clock, 0 bytes, 0 allocs\n" +
		"pinion v1\ninit a.b/c @58 ms, 3 ms clock, 414552 bytes, 3600 allocs\n")
	want := []stats.Stage{{Name: "internal/bytealg", Time: 250 * time.Microsecond},
		{Name: "a.b/c", Time: 3 * time.Millisecond}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("parsed %+v, not %+v", got, want)
	}
}

func TestStagesAddUp(t *testing.T) {
	begun := time.Unix(0, 100)
	got := stagesOf(begun, []moment{{"a", begun.Add(5)}, {"b", begun.Add(5)}, {"c", begun.Add(12)}})
	want := []stats.Stage{{Name: "a", Time: 5}, {Name: "b"}, {Name: "c", Time: 7}}
	if !reflect.DeepEqual(got, want) || stats.Sum(got) != 12 {
		t.Errorf("the stages are %+v, not %+v", got, want)
	}
}

// TestRelay asks a server through a relay, twice on one connection and once on another.
func TestRelay(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			text, _ := io.ReadAll(r.Body) // the client compares it
			_, _ = w.Write(text)
		}))
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server.Listener = l
	server.Start()
	defer server.Close()
	r, err := newRelay("unix", socket+".relay", socket)
	if err != nil {
		t.Fatal(err)
	}
	before := time.Now()
	ask := func(c *http.Client, body string) {
		t.Helper()
		resp, err := c.Post("http://relay/", "text/plain", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if got, err := io.ReadAll(resp.Body); err != nil || string(got) != body {
			t.Fatalf("got %d bytes, %v, not the %d sent", len(got), err, len(body))
		}
	}
	one, other := &http.Client{Transport: overSocket(socket + ".relay")},
		&http.Client{Transport: overSocket(socket + ".relay")}
	ask(one, "GET / HTTP/1.1\r\n\r\n") // no request, though it looks like one
	ask(one, strings.Repeat("x", 100_000))
	ask(other, "")
	first, last := r.times()
	if n := r.requests(); n != 3 || first.Before(before) || !last.After(first) {
		t.Errorf("%d requests from %s to %s", n, first, last)
	}
	r.reset()
	if first, _ := r.times(); r.requests() != 0 || !first.IsZero() {
		t.Error("the relay has not forgotten")
	}
	if err := r.end(); err != nil {
		t.Error(err)
	}
	if _, err := one.Get("http://relay/"); err == nil {
		t.Error("a connection has outlived the relay")
	}
}
