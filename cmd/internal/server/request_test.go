package server

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestFault62_BodiesAreBounded: in size and in time, even if no handler reads the body.
func TestFault62_BodiesAreBounded(t *testing.T) {
	s := newStage(t, WithToken(strings.Repeat("t", MinToken)), withLimits(func(l *limits) {
		l.body = 50 * time.Millisecond
	}))
	token := "Authorization: Bearer " + strings.Repeat("t", MinToken) + "\r\n"
	for name, c := range map[string]struct{ request, want string }{
		"slow": {"POST /v1/images/there HTTP/1.1\r\nHost: x\r\n" + token +
			"Content-Length: 10\r\n\r\n{", "408"},
		"slow chunks": {"POST /v1/images/there HTTP/1.1\r\nHost: x\r\n" + token +
			"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", "408"},
		"slow and unasked": {"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n",
			"408"},
		"slow, no route": {"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{",
			"404"},
		"slow, no token": {"POST /v1/images/there HTTP/1.1\r\nHost: x\r\nContent-Length: " +
			"10\r\n\r\n{", "401"},
		"huge": {"POST /v1/images/there HTTP/1.1\r\nHost: x\r\n" + token +
			"Content-Length: 99999999999\r\n\r\n" + strings.Repeat("x", 17<<10), "413"},
		"huge header": {"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 2<<20) +
			"\r\n\r\n", "431"},
	} {
		t.Run(name, func(t *testing.T) {
			c2, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer c2.Close()
			_ = c2.SetDeadline(time.Now().Add(20 * time.Second))
			go func() { _, _ = io.WriteString(c2, c.request) }()
			in := bufio.NewReader(c2)
			line, err := in.ReadString('\n')
			if err != nil || !strings.HasPrefix(line, "HTTP/1.1 "+c.want) {
				t.Fatalf("%q, %v", line, err)
			}
			// The connection is closed without waiting for the rest.
			if _, err := io.Copy(io.Discard, in); err != nil &&
				strings.Contains(err.Error(), "timeout") {
				t.Error(err)
			}
		})
	}
}

func TestSlowHeadersCostTheConnection(t *testing.T) {
	s := newStage(t, withLimits(func(l *limits) { l.header = 50 * time.Millisecond }))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Serve(ctx, 0, l) }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(c, "GET /healthz HTTP/1.1\r\nHo")
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Error(err)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestBodiesAreStrict(t *testing.T) {
	s := newStage(t, WithAnyRevision())
	sha := strings.Repeat("a", 40)
	for body, want := range map[string]int{
		`{"revision":"` + sha + `"}`: 200, `{"revision":"` + sha +
			`","any_revision":true,"pull":true}`: 200, `{}`: 200,
		`{"revision":"abc"}`: 400, `{"any_revision":true}`: 400, `{"pull":1}`: 400,
		`{"Unknown":1}`: 400, `{} {}`: 400,
		`[]`: 400, `{`: 400, `null x`: 400,
	} {
		a := s.ask(t, http.MethodPost, "/v1/images/there", body)
		if a.StatusCode != want {
			t.Errorf("%s is answered by %d: %s", body, a.StatusCode, a.text)
		}
		if want == 400 && !strings.Contains(a.text, "urn:pinion:problem:bad-request") {
			t.Errorf("%s: %s", body, a.text)
		}
	}
	if a := s.ask(t, http.MethodPost, "/v1/images/there?wait=perhaps", ""); a.StatusCode != 400 {
		t.Errorf("%d", a.StatusCode)
	}
}

// TestFault12_OnlyTheOperatorAllowsAnyRevision: by default a caller may request only commits on the
// template's branch.
func TestFault12_OnlyTheOperatorAllowsAnyRevision(t *testing.T) {
	body := `{"revision":"` + strings.Repeat("a", 40) + `","any_revision":true}`
	s := newStage(t)
	a := s.ask(t, http.MethodPost, "/v1/images/there", body)
	if p := decode[problem](t, a); a.StatusCode != 403 || p.Type != problemType+"any-revision" ||
		!strings.Contains(p.Detail, "--allow-any-sha") {
		t.Errorf("%d: %s", a.StatusCode, a.text)
	}
	if len(s.backend.calls) != 0 {
		t.Error("it was requested")
	}
	if a := newStage(t, WithAnyRevision()).ask(t, http.MethodPost, "/v1/images/there",
		body); a.StatusCode != 200 {
		t.Errorf("allowed: %d: %s", a.StatusCode, a.text)
	}
}

func TestTheToken(t *testing.T) {
	secret := strings.Repeat("t", MinToken)
	var log syncBuffer
	s := newStage(t, WithToken(secret),
		WithLogger(slog.New(slog.NewTextHandler(&log,
			&slog.HandlerOptions{Level: slog.LevelDebug}))))
	for header, want := range map[string]int{
		"": 401, "Bearer": 401, "Bearer x": 401, "Basic " + secret: 401, "Bearer " + secret +
			"x": 401, secret: 401,
		"Bearer " + secret: 200, "bearer " + secret: 200,
	} {
		s.ask(t, http.MethodGet, "/v1/builds?token="+secret, "", "Authorization", header)
		a := s.ask(t, http.MethodGet, "/v1/builds", "", "Authorization", header)
		if a.StatusCode != want || (want == 401) != (a.Header.Get("WWW-Authenticate") != "") {
			t.Errorf("%q is answered by %d", header, a.StatusCode)
		}
	}
	if a := s.ask(t, http.MethodGet, "/healthz", ""); a.StatusCode != 200 {
		t.Errorf("/healthz: %d", a.StatusCode)
	}
	if strings.Contains(log.String(), secret) || !strings.Contains(log.String(), "/v1/builds") {
		t.Errorf("the log is\n%s", &log)
	}
}
