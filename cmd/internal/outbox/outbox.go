package outbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/internal/termtext"
)

const (
	// capacity is the number of messages that may wait.
	capacity = 128
	// attempts is how often a message is sent at most.
	attempts = 4
	// firstPause is the time before the second attempt. Each later one is four times as long.
	firstPause = time.Second
	// maxPause bounds the time that a server may ask for before the next attempt.
	maxPause = time.Minute
	// sendTimeout bounds one attempt.
	sendTimeout = 10 * time.Second
	// maxAnswer bounds what is read of an answer, in bytes.
	maxAnswer = 64 << 10
)

// Message is a POST request. A second attempt sends the same.
type Message struct {
	URL    string
	Header http.Header
	Body   []byte
	// Accepts reports whether a status says that the server has the message. The default is 2xx.
	Accepts func(status int) bool
}

// Write makes a message. It runs on the box's goroutine, so it may take its time, until ctx ends.
type Write func(ctx context.Context) (Message, error)

// Box has the messages for one server. [New] makes one.
type Box struct {
	subject string // what the messages are, for people
	client  *http.Client
	log     *slog.Logger
	pause   time.Duration
	counts  *Counts
	wait    chan Write
	stop    context.CancelFunc
	done    chan struct{}

	mu     sync.Mutex
	closed bool // guarded by mu
	// failing and full report whether the last message was not taken, or found no place; guarded by
	// mu.
	failing, full bool
}

// Option adjusts a [Box].
type Option func(*Box)

// WithPause sets the time before the second attempt. The default is a second.
func WithPause(d time.Duration) Option { return func(b *Box) { b.pause = d } }

// New makes a box that sends through t until Close is called. subject says what is sent and where
// to, for the log, which has no URL and no header of a message.
func New(subject string, t http.RoundTripper, log *slog.Logger, opts ...Option) *Box {
	ctx, stop := context.WithCancel(context.Background())
	b := &Box{subject: subject, log: log, pause: firstPause, wait: make(chan Write, capacity),
		counts: &Counts{},
		stop:   stop, done: make(chan struct{}),
		client: &http.Client{Transport: t, Timeout: sendTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse
			}},
	}
	for _, o := range opts {
		o(b)
	}
	go b.run(ctx)
	return b
}

// Put adds a message, unless too many wait already. One that matters less gets a place only while
// half of them are free.
func (b *Box) Put(w Write, mattersLess bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || mattersLess && len(b.wait) >= capacity/2 {
		b.counts.Dropped.Add(1)
		return
	}
	select {
	case b.wait <- w:
		b.full = false
	default:
		b.counts.Dropped.Add(1)
		if !b.full {
			b.log.Warn(fmt.Sprintf("%s: %d wait already, so more are dropped", b.subject, capacity))
		}
		b.full = true
	}
}

// Close sends the messages that wait until ctx ends, and drops the rest.
func (b *Box) Close(ctx context.Context) {
	b.mu.Lock()
	if !b.closed {
		b.closed = true
		close(b.wait)
	}
	b.mu.Unlock()
	select {
	case <-b.done:
	case <-ctx.Done():
	}
	b.stop()
	<-b.done
}

func (b *Box) run(ctx context.Context) {
	defer close(b.done)
	for w := range b.wait {
		if ctx.Err() != nil {
			b.counts.Dropped.Add(1 + int64(len(b.wait)))
			return
		}
		err := b.deliver(ctx, w)
		b.counts.count(err)
		b.report(ctx, err)
	}
}

// report logs the first failure of several, and their end.
func (b *Box) report(ctx context.Context, err error) {
	b.mu.Lock()
	was := b.failing
	b.failing = err != nil
	b.mu.Unlock()
	switch {
	case err != nil && !was && ctx.Err() == nil:
		b.log.Warn(b.subject + ": " + termtext.Sanitize(err.Error()))
	case err != nil:
		b.log.Debug(b.subject + ": " + termtext.Sanitize(err.Error()))
	case was:
		b.log.Info(b.subject + ": they are taken again")
	}
}

// deliver sends a message, more than once if it has to.
func (b *Box) deliver(ctx context.Context, w Write) error {
	writing, cancel := context.WithTimeout(ctx, sendTimeout)
	m, err := w(writing)
	cancel()
	if err != nil {
		return err
	}
	pause := b.pause
	for n := 1; ; n++ {
		err := b.send(ctx, m)
		refused, isRefused := errors.AsType[*RefusedError](err)
		if err == nil || n == attempts || isRefused && !refused.isTemporary() {
			return err
		}
		next := pause
		if isRefused {
			next = max(next, min(refused.after, maxPause))
		}
		select {
		case <-time.After(next):
		case <-ctx.Done():
			return err
		}
		pause *= 4
	}
}

func (b *Box) send(ctx context.Context, m Message) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.URL, bytes.NewReader(m.Body))
	if err != nil {
		return err
	}
	req.Header = m.Header.Clone()
	resp, err := b.client.Do(req)
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err // without the URL, which may have a secret
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer) // so that the connection can be used again
	accepts := m.Accepts
	if accepts == nil {
		accepts = func(status int) bool { return status >= 200 && status < 300 }
	}
	if accepts(resp.StatusCode) {
		return nil
	}
	seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After")) // 0 for a date
	return &RefusedError{resp.StatusCode, time.Duration(min(max(seconds, 0), 3600)) * time.Second}
}

// RefusedError is an answer that says that the server did not take a message.
type RefusedError struct {
	Status int
	after  time.Duration // what the server asks for before the next attempt
}

// Error says what to do next.
func (e *RefusedError) Error() string {
	text := fmt.Sprintf("refused with %d %s", e.Status, http.StatusText(e.Status))
	switch {
	case e.Status == http.StatusUnauthorized, e.Status == http.StatusForbidden:
		text += ": check the token and its scopes"
	case e.Status == http.StatusNotFound:
		text += ": check that the token may write there"
	case e.Status >= 300 && e.Status < 400:
		text += ": no redirect is followed, so use the address that it leads to"
	}
	return text
}

// isTemporary reports whether the same message may be taken later.
func (e *RefusedError) isTemporary() bool {
	return e.Status >= 500 || e.Status == http.StatusTooManyRequests ||
		e.Status == http.StatusRequestTimeout
}
