package outbox

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// receiver is a server that answers with the next of its statuses, and then with 200.
type receiver struct {
	*httptest.Server
	mu      sync.Mutex
	answers []int
	got     []string // bodies
}

func newReceiver(t *testing.T, answers ...int) *receiver {
	t.Helper()
	r := &receiver{answers: answers}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.got = append(r.got, string(body))
		status := http.StatusOK
		if len(r.answers) > 0 {
			status, r.answers = r.answers[0], r.answers[1:]
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) seen() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got
}

func (r *receiver) message(body string) Write {
	return func(context.Context) (Message, error) {
		return Message{URL: r.URL + "/secret-path", Body: []byte(body),
			Header: http.Header{"Authorization": {"secret-token"}}}, nil
	}
}

// send puts messages into a box and closes it. It returns the log.
func send(t *testing.T, messages ...Write) string {
	t.Helper()
	var log bytes.Buffer
	b := New("letters", Transport(nil), slog.New(slog.NewTextHandler(&log, nil)),
		WithPause(time.Millisecond))
	for _, m := range messages {
		b.Put(m, false)
	}
	b.Close(t.Context())
	if text := log.String(); strings.Contains(text, "secret") {
		t.Errorf("the log has a secret:\n%s", text)
	}
	return log.String()
}

func TestAttempts(t *testing.T) {
	for name, c := range map[string]struct {
		answers  []int
		attempts int
		word     string // in the log, "" for an empty one
	}{
		"taken":           {nil, 1, ""},
		"away for a time": {[]int{500, 502, 429}, 4, ""},
		"away":            {[]int{500, 500, 500, 500}, 4, "500"},
		"refused":         {[]int{403}, 1, "check the token"},
		"not there":       {[]int{404}, 1, "may write there"},
		"redirected":      {[]int{307}, 1, "no redirect"},
		"moved":           {[]int{301}, 1, "no redirect"},
	} {
		r := newReceiver(t, c.answers...)
		log := send(t, r.message("x"))
		if len(r.seen()) != c.attempts || (c.word == "") != (log == "") ||
			!strings.Contains(log, c.word) {
			t.Errorf("%s: %d attempts\n%s", name, len(r.seen()), log)
		}
	}
}

// TestOneWarning: many failures are one line, and so is their end. The order stays.
func TestOneWarning(t *testing.T) {
	r := newReceiver(t, 403, 403, 403)
	log := send(t, r.message("1"), r.message("2"), r.message("3"), r.message("4"), r.message("5"))
	if strings.Count(log, "level=WARN") != 1 || strings.Count(log, "taken again") != 1 ||
		strings.Count(log, "\n") != 2 {
		t.Errorf("the log is\n%s", log)
	}
	if got := strings.Join(r.seen(), ""); got != "12345" {
		t.Errorf("the order is %s", got)
	}
}

func TestNobodyAnswers(t *testing.T) {
	r := newReceiver(t)
	r.Close()
	if log := send(t, r.message("x")); !strings.Contains(log, "refused") {
		t.Errorf("the log is\n%s", log)
	}
	log := send(t, func(context.Context) (Message, error) {
		return Message{}, errors.New("broken")
	})
	if !strings.Contains(log, "broken") {
		t.Errorf("the log is\n%s", log)
	}
}

// TestABoundedBox: a server that does not answer fills the box and no more, and no caller waits.
func TestABoundedBox(t *testing.T) {
	var log bytes.Buffer
	release, started := make(chan struct{}), make(chan struct{}, 1)
	b := New("letters", Transport(nil), slog.New(slog.NewTextHandler(&log, nil)))
	blocked := func(ctx context.Context) (Message, error) {
		select {
		case started <- struct{}{}:
		default:
		}
		select {
		case <-release:
		case <-ctx.Done():
		}
		return Message{}, errors.New("gone")
	}
	b.Put(blocked, false)
	<-started
	for range 3 * capacity {
		b.Put(blocked, true)
	}
	if got := len(b.wait); got != capacity/2 {
		t.Errorf("%d that matter less wait", got)
	}
	for range 3 * capacity {
		b.Put(blocked, false)
	}
	if got := len(b.wait); got != capacity {
		t.Errorf("%d wait", got)
	}
	if got := strings.Count(log.String(), "are dropped"); got != 1 {
		t.Errorf("%d lines\n%s", got, log.String())
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	b.Close(ended) // does not wait for the rest
	b.Put(blocked, false)
	b.Close(t.Context())
	close(release)
}

func TestCheckURL(t *testing.T) {
	for address, want := range map[string]bool{
		"https://hooks.example/x?y=z": true, "http://127.0.0.1:8080/": true,
		"http://localhost/x": true, "http://[::1]:1/": true,
		"http://hooks.example/": false, "ftp://127.0.0.1/": false, "hooks.example": false,
		"https:///x": false, "https://u:p@hooks.example": false, "https://a/#b": false,
		"http://127.0.0.1.evil.example/": false, "https://%zz": false, "": false,
	} {
		if err := CheckURL(address); (err == nil) != want {
			t.Errorf("%s: %v", address, err)
		}
	}
}
