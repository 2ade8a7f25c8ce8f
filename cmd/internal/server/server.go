package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/internal/termtext"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// Server answers HTTP requests. Make it with [New].
type Server struct {
	orchestrator Orchestrator[Call]
	limits       limits
	log          *slog.Logger
	version      string
	token        *[sha256.Size]byte // of the token; nil: none is wanted
	hook         *hook              // nil: there is none
	// anyRevision: callers may ask for commits that are not on the template's branch.
	anyRevision bool
	asked       func(name string)

	builds    *ledger
	metrics   *metrics
	interests slots
	streams   slots
	hooks     slots
	readers   *readers

	// door is for those who ask for images, from the look-up to the answer. It is shut when the
	// server drains.
	door door
	// hurry is closed when those who wait have to go.
	hurry chan struct{}
	rush  func()
}

// Option adjusts a [Server].
type Option func(*Server)

// MinToken is the length below which a token could be guessed, in bytes.
const MinToken = 16

// WithToken has every request but /healthz and the webhook's, which is signed, carry the token as
// `Authorization: Bearer`. The default is that whoever can connect may ask.
func WithToken(token string) Option {
	return func(s *Server) {
		sum := sha256.Sum256([]byte(token))
		s.token = &sum
	}
}

// WithHook accepts webhooks that are signed with the secret and hands on what they are about: the
// repository as owner/name and the ref. pushed returns the templates that it concerns and must not
// block. The default is none.
func WithHook(secret string, pushed func(repository, ref string) []string) Option {
	return func(s *Server) { s.hook = newHook(secret, pushed) }
}

// WithAnyRevision lets callers ask for commits that are not on the template's branch. The default
// is to refuse it.
func WithAnyRevision() Option { return func(s *Server) { s.anyRevision = true } }

// WithAsked sets who hears of each template that was asked for and found. It must not block. The
// default is nobody.
func WithAsked(f func(name string)) Option { return func(s *Server) { s.asked = f } }

// WithLogger sets where log lines go, one a request. The default is nowhere.
func WithLogger(l *slog.Logger) Option { return func(s *Server) { s.log = l } }

// WithVersion says which version /metrics shows.
func WithVersion(version string) Option { return func(s *Server) { s.version = version } }

// New makes a server of an orchestrator. It makes no request.
func New(o Orchestrator[*pinion.Call], opts ...Option) *Server {
	return newServer(adapter{o}, opts...)
}

func newServer(o Orchestrator[Call], opts ...Option) *Server {
	s := &Server{orchestrator: o, limits: defaultLimits(), log: slog.New(slog.DiscardHandler),
		asked: func(string) {}}
	for _, o := range opts {
		o(s)
	}
	s.metrics = newMetrics(s.version)
	s.builds = newLedger(s.limits.ended, s.metrics)
	s.interests, s.streams, s.hooks = newSlots(s.limits.interests), newSlots(s.limits.streams),
		newSlots(s.limits.hooks)
	s.readers = newReaders(s.limits.readers, s.limits.readersEach)
	s.hurry = make(chan struct{})
	s.rush = sync.OnceFunc(func() { close(s.hurry) })
	return s
}

// clean makes a text fit to be shown.
func (s *Server) clean(text string) string { return termtext.Sanitize(s.orchestrator.Redact(text)) }

// Serve answers on the listener, which it closes, until ctx ends. Then it drains: no new requests
// for images, and those under way, with their builds, have the time given to end, or are cancelled.
// A server that has drained is no error.
func (s *Server) Serve(ctx context.Context, l net.Listener, drain time.Duration) error {
	h := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: s.limits.header,
		IdleTimeout:       s.limits.idle,
		MaxHeaderBytes:    s.limits.headerBytes,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(l) }()
	select {
	case err := <-ended:
		s.stop(ctx, 0)
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	s.log.Info(fmt.Sprintf("draining: requests and builds under way have %s to end", drain))
	s.stop(ctx, drain)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.limits.farwell)
	defer cancel()
	if err := h.Shutdown(last); err != nil {
		_ = h.Close() // whoever does not take the answer has had the time
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// stop ends what was asked for: by waiting for it, and by leaving it when the time is up.
func (s *Server) stop(ctx context.Context, drain time.Duration) {
	s.door.shut()
	ctx = context.WithoutCancel(ctx)
	patience, cancel := context.WithTimeout(ctx, drain)
	defer cancel()
	s.door.wait(patience) // who still looks up may find that there is something to build
	s.builds.wait(patience)
	s.rush()
	s.builds.leave()
	rest, cancel := context.WithTimeout(ctx, s.limits.farwell)
	defer cancel()
	s.door.wait(rest)
	s.builds.wait(rest)
}

// Warm starts a build of a template before anyone has requested its image. A hit has no build. The
// server cancels these builds, like all others, when it ends.
func (s *Server) Warm(ctx context.Context, name string) (Call, error) {
	if !s.door.enter() {
		return nil, errors.New("the server is about to end")
	}
	defer s.door.leave()
	begun := time.Now()
	c, err := s.orchestrator.Start(ctx, name, pinion.Prewarm())
	if err != nil || c.Hit() {
		return c, err
	}
	s.builds.add(c, true, begun)
	s.builds.hold(c, func() {})
	return c, nil
}

// Superseded says that a look-up begun at that time found the head of the template's branch to be
// rev: builds of others that were under way by then show it.
func (s *Server) Superseded(name string, rev git.Revision, begun time.Time) {
	s.builds.superseded(name, rev, begun)
}
