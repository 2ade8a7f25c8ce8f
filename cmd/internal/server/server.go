package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/access"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/outbox"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/page"
	"git.moleculesai.app/molecule-ai/pinion/internal/termtext"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// Server answers HTTP requests. [New] creates one.
type Server struct {
	orchestrator Orchestrator[Call]
	limits       limits
	log          *slog.Logger
	version      string
	fixed        access.List        // callers with the tokens of options
	named        func() access.List // nil without others
	hook         *hook              // nil without webhooks
	pulls        PullRequestFunc    // nil if pull requests are not built
	history      History            // nil without one
	// anyRevision lets callers request commits that are not on the template's branch.
	anyRevision bool
	observer    func(name string)
	report      func(pinion.BuildStatus)
	watchState  func() WatchState // nil without a watcher
	inspections func() pinion.Inspections
	pruneState  func() PruneState // nil if nothing prunes
	disk        func(context.Context) (pinion.Disk, error)
	// statuses and notifications say what became of them.
	statuses, notifications *outbox.Counts

	builds    *ledger
	metrics   *metrics
	sessions  page.Sessions
	activity  activity
	sizes     sizes
	interests slots
	streams   slots
	hooks     slots
	surveys   slots // requests that look at the whole store or builder
	readers   *readers

	// linger is how long the interest of a caller that was cut off is held.
	linger time.Duration
	ready  readyChecks
	// gate counts requests for images, from the look-up to the response. The server closes it to
	// drain.
	gate gate
	idle idleness
	// abort is closed when the drain time is up; it ends all waits.
	abort      chan struct{}
	abortWaits func()
}

// Option adjusts a [Server].
type Option func(*Server)

// MinToken is the length below which a token could be guessed, in bytes.
const MinToken = 16

// WithHook accepts webhooks that are signed with the secret, and calls notify for each push. By
// default webhooks are refused.
func WithHook(secret string, notify NotifyFunc) Option {
	return func(s *Server) { s.hook = newHook(secret, notify) }
}

// WithAnyRevision lets callers request commits that are not on the template's branch. By default
// they are refused.
func WithAnyRevision() Option { return func(s *Server) { s.anyRevision = true } }

// WithObserver sets a function that is called with the name of each requested template, once the
// template is found. It must not block. The default does nothing.
func WithObserver(f func(name string)) Option { return func(s *Server) { s.observer = f } }

// WithReports sets a function that is called with the status of each build of this server when it
// begins, and again when it has ended, and with that of each hit on what a watcher follows. It must
// not block. The default does nothing.
func WithReports(f func(pinion.BuildStatus)) Option { return func(s *Server) { s.report = f } }

// WithLogger sets the logger, which gets one line for each request. The default discards them.
func WithLogger(l *slog.Logger) Option { return func(s *Server) { s.log = l } }

// WithVersion sets the version that /metrics shows.
func WithVersion(version string) Option { return func(s *Server) { s.version = version } }

// New makes a server of an orchestrator. It makes no request.
func New(o Orchestrator[*pinion.Call], opts ...Option) *Server {
	return newServer(adapter{o}, opts...)
}

func newServer(o Orchestrator[Call], opts ...Option) *Server {
	s := &Server{orchestrator: o, limits: defaultLimits(), log: slog.New(slog.DiscardHandler),
		observer: func(string) {}, report: func(pinion.BuildStatus) {},
		statuses: &outbox.Counts{}, notifications: &outbox.Counts{}}
	for _, o := range opts {
		o(s)
	}
	s.metrics = newMetrics(s.version)
	s.builds = newLedger(s.limits.history, s.metrics, &s.idle, s.log, s.report)
	s.interests, s.streams, s.hooks = newSlots(s.limits.interests), newSlots(s.limits.streams),
		newSlots(s.limits.hooks)
	s.surveys = newSlots(s.limits.surveys)
	s.readers = newReaders(s.limits.readers, s.limits.readersEach)
	s.abort = make(chan struct{})
	s.abortWaits = sync.OnceFunc(func() { close(s.abort) })
	return s
}

// clean redacts and sanitizes a text from elsewhere.
func (s *Server) clean(text string) string { return termtext.Sanitize(s.orchestrator.Redact(text)) }

// Serve answers requests on the listeners until ctx ends or the idle time is up, and closes them.
// Then it drains: it refuses new requests for images, gives running requests and builds the drain
// time to end, and cancels the rest. It returns nil after draining.
func (s *Server) Serve(ctx context.Context, drain time.Duration, listeners ...net.Listener) error {
	h := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: s.limits.header,
		IdleTimeout:       s.limits.idle,
		MaxHeaderBytes:    s.limits.headerBytes,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, len(listeners))
	watching, stopWatch := context.WithCancel(ctx)
	defer stopWatch()
	idle := s.idle.expired(watching)
	for _, l := range listeners {
		go func() { ended <- h.Serve(l) }()
	}
	select {
	case err := <-ended:
		s.stop(ctx, 0)
		return fmt.Errorf("serve: %w", errors.Join(err, h.Close()))
	case <-idle:
		s.log.Info(fmt.Sprintf("no request and no build for %s: ending", s.idle.limit))
	case <-ctx.Done():
		s.logEnd(drain)
	}
	s.stop(ctx, drain)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.limits.shutdown)
	defer cancel()
	if err := h.Shutdown(last); err != nil {
		_ = h.Close() // the remaining callers do not read their responses
	}
	for range listeners {
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve: %w", err)
		}
	}
	return nil
}

// logEnd says what the end of the server waits for.
func (s *Server) logEnd(drain time.Duration) {
	if requests, builds := len(s.interests), s.metrics.inFlight.Load(); requests > 0 || builds > 0 {
		s.log.Info(fmt.Sprintf("draining: callers (%d) and builds (%d) have %s to end", requests,
			builds, drain))
		return
	}
	s.log.Info("ending: there is no request for an image and no build")
}

// stop waits for requests and builds until the drain time is up, and cancels the rest.
func (s *Server) stop(ctx context.Context, drain time.Duration) {
	s.gate.close()
	ctx = context.WithoutCancel(ctx)
	graceful, cancel := context.WithTimeout(ctx, drain)
	defer cancel()
	s.gate.wait(graceful) // a look-up in progress may start a build
	s.builds.wait(graceful)
	s.abortWaits()
	s.builds.leave()
	rest, cancel := context.WithTimeout(ctx, s.limits.shutdown)
	defer cancel()
	s.gate.wait(rest)
	s.builds.wait(rest)
}

// Warm starts a build of a template before anyone has requested its image. A hit has no build. The
// server cancels these builds, like all others, when it ends.
func (s *Server) Warm(ctx context.Context, name string) (Call, error) {
	return s.warm(ctx, name, "watch")
}

// WarmPullRequest is [Server.Warm] for the head of a pull request, which must be that commit.
func (s *Server) WarmPullRequest(
	ctx context.Context, name string, number int, head git.Revision,
) (Call, error) {
	return s.warm(ctx, name, "a webhook", pinion.AtPullRequest(number),
		pinion.AtRevision(head, false))
}

func (s *Server) warm(
	ctx context.Context, name, asker string, opts ...pinion.EnsureOption,
) (Call, error) {
	if !s.gate.enter() {
		return nil, errors.New("the server is shutting down")
	}
	defer s.gate.leave()
	start := time.Now()
	c, err := s.orchestrator.Start(ctx, name, append(opts, pinion.Prewarm(),
		pinion.AskedBy(asker))...)
	if s.metrics.countLookup(c, err); err != nil {
		return c, err
	}
	if c.Hit() {
		s.report(c.Status())
		return c, nil
	}
	s.builds.add(c, true, start)
	s.builds.hold(c, func() {})
	return c, nil
}

// MarkSuperseded marks the template's builds of older heads: a look-up that began at start found
// the head of the branch to be rev.
func (s *Server) MarkSuperseded(name string, rev git.Revision, start time.Time) {
	s.builds.markSuperseded(name, rev, start)
}
