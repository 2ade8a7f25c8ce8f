package server

import (
	"bufio"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
)

func (s *stage) begun(t testing.TB, name string) (path string, b *fakeBuild) {
	t.Helper()
	got := decode[acceptance](t, s.ask(t, http.MethodPost, "/v1/images/"+name, ""))
	return "/v1/builds/" + got.Build.ID + "/events", s.backend.build(name)
}

func TestEventsAreStreamedAndResumed(t *testing.T) {
	s := newStage(t)
	path, b := s.begun(t, "made")
	resp, err := http.Get(s.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	in := bufio.NewScanner(resp.Body)
	until := func(line string) {
		t.Helper()
		for in.Scan() {
			if in.Text() == line {
				return
			}
		}
		t.Fatalf("the stream ended without %q", line)
	}
	until("event: resolved")
	b.emit(pinion.Event{Type: pinion.EventLog, Text: "one\ntwo: three"})
	until("id: 2")
	b.finish()
	until("event: done")
	for in.Scan() {
		continue
	}
	if kind := resp.Header.Get("Content-Type"); kind != "text/event-stream" || in.Err() != nil {
		t.Errorf("%s, %v", kind, in.Err())
	}
	for after, want := range map[string]string{"": "1 2 3", "0": "1 2 3", "1": "2 3", "2": "3",
		"3": "", "77": ""} {
		a := s.ask(t, http.MethodGet, path, "", "Last-Event-ID", after)
		var got []string
		for line := range strings.SplitSeq(a.text, "\n") {
			if id, ok := strings.CutPrefix(line, "id: "); ok {
				got = append(got, id)
			}
		}
		if strings.Join(got, " ") != want || (want == "") != (a.StatusCode == 204) {
			t.Errorf("after %q came %v with %d", after, got, a.StatusCode)
		}
	}
	for _, bad := range []string{"-1", "x", "9999999999999999999999"} {
		if a := s.ask(t, http.MethodGet, path, "", "Last-Event-ID", bad); a.StatusCode != 400 {
			t.Errorf("%q is answered by %d", bad, a.StatusCode)
		}
	}
	if a := s.ask(t, http.MethodHead, path, ""); a.StatusCode != 200 || a.text != "" {
		t.Errorf("HEAD: %d", a.StatusCode)
	}
}

func TestHeartbeat(t *testing.T) {
	s := newStage(t, withLimits(func(l *limits) { l.heartbeat = time.Millisecond }))
	path, b := s.begun(t, "made")
	resp, err := http.Get(s.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	in := bufio.NewScanner(resp.Body)
	for in.Scan() && in.Text() != ":" {
		continue
	}
	b.finish()
	if in.Text() != ":" {
		t.Error("no heartbeat")
	}
}

// TestFault62_AReaderWhoTakesNothing is disconnected, while others continue to read.
func TestFault62_AReaderWhoTakesNothing(t *testing.T) {
	s := newStage(t, withLimits(func(l *limits) { l.write = 50 * time.Millisecond }))
	path, b := s.begun(t, "made")
	c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.(*net.TCPConn).SetReadBuffer(1 << 10)
	if _, err := c.Write([]byte("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a stream", func() bool { return len(s.streams) == 1 })
	line := strings.Repeat("x", 4000)
	eventually(t, "the end of the stream", func() bool {
		for range 100 {
			b.emit(pinion.Event{Type: pinion.EventLog, Text: line})
		}
		return len(s.streams) == 0
	})
	b.finish()
	if a := s.ask(t, http.MethodGet, path, ""); !strings.Contains(a.text, "event: done") {
		t.Error("others cannot read")
	}
}

func TestStreamsAreBounded(t *testing.T) {
	s := newStage(t, withLimits(func(l *limits) { l.streams = 2 }))
	path, b := s.begun(t, "made")
	ends := make(chan response)
	for range 2 {
		go func() { ends <- s.ask(t, http.MethodGet, path, "") }()
	}
	eventually(t, "two streams", func() bool { return len(s.streams) == 2 })
	if a := s.ask(t, http.MethodGet, path, ""); a.StatusCode != 503 ||
		a.Header.Get("Retry-After") == "" {
		t.Errorf("the third is answered by %d", a.StatusCode)
	}
	b.finish()
	for range 2 {
		if a := <-ends; !strings.Contains(a.text, "event: done") {
			t.Errorf("ended with %q", a.text)
		}
	}
	eventually(t, "free places", func() bool { return len(s.streams) == 0 })
}
