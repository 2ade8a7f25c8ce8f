package buildkit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/identity"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/secrets/secretsprovider"
	"github.com/moby/buildkit/util/grpcerrors"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"google.golang.org/grpc/codes"

	"git.moleculesai.app/molecule-ai/pinion/internal/failpoint"
	"git.moleculesai.app/molecule-ai/pinion/internal/span"
	"git.moleculesai.app/molecule-ai/pinion/internal/transfer"
)

var (
	errNothingExported = errors.New("the builder exported nothing")
	errNoDigest        = errors.New("the builder reported no digest for the image; it is not used")
)

// Solve builds the request and leaves the image in the store under req.Reference: through the
// engine's own exporter, or through sink. It fetches and inspects while the builder can ask for the
// credential, and runs the frontend after that, both in one Build session. After some failures it
// tries again in another session. The error is an [*Error] whose kind names the case, or the
// context's cause.
func (b *Builder) Solve(ctx context.Context, req Request, sink Sink) (Result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if req.Progress != nil {
		h := newHandover(req.Progress)
		defer h.close()
		req.Progress = h.put
	}
	s := newSolve(b, req, newChecks(req.OnCheck), cancel)
	res, err := s.run(ctx, sink)
	for _, f := range fallbacks() {
		if err == nil || ctx.Err() != nil {
			break
		}
		if cause := f.cause(ctx, s, err); cause != nil {
			s = s.next(cancel)
			f.apply(&s.attempt, cause)
			res, err = s.run(ctx, sink)
		}
	}
	for _, pause := range sourcePauses {
		if err == nil || !s.mayRetrySource(err) || !wait(ctx, pause) {
			break
		}
		s = s.next(cancel)
		res, err = s.run(ctx, sink)
	}
	secrets := b.redactor(req)
	if err == nil {
		s.attempt.annotate(&res, secrets)
		return res, nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return Result{}, cause
	}
	return Result{}, secrets.Error(s.explain(ctx, err))
}

// The spans of an attempt. BuildKit's own are below the first, whose requests carry the trace's
// context.
const (
	spanSolve   = "solve"
	spanFetch   = "fetch"
	spanSteps   = "steps"
	spanDeliver = "deliver"
)

// solve is the state of one attempt, which is one Build session.
type solve struct {
	builder  *Builder
	req      Request
	attempt  attempt
	gate     *gate
	statuses statusRelay
	watchdog *watchdog
	// stepsEnded stops the watch over fetch and steps. It may be called more than once.
	stepsEnded func()
	result     Result
	// upload is nil unless a working tree is built, and lfs unless files from Git LFS may be.
	upload, lfs *upload
	// failed is the error of the function that runs inside the session. The builder returns only
	// the text of that error.
	failed *Error
	// dockerfile is what was inspected; nil until then.
	dockerfile []byte
	// source is the vertex that holds what was fetched.
	source digest.Digest

	// noLayers reports whether the image has no layers.
	noLayers bool

	started, fetched, solved time.Time
	span                     span.Span
	transfer                 *transfer.Transfer
}

func newSolve(
	b *Builder, req Request, checks *checks, cancel context.CancelCauseFunc,
) *solve {
	w := newWatchdog(req.StallAfter, cancel)
	return &solve{
		builder: b, req: req, started: time.Now(), gate: newGate(req),
		statuses: statusRelay{observe: w.observe, checks: checks}, watchdog: w,
	}
}

// next returns the state of an attempt after s. The durations in the result include s.
func (s *solve) next(cancel context.CancelCauseFunc) *solve {
	next := newSolve(s.builder, s.req, s.statuses.checks, cancel)
	next.started, next.attempt = s.started, s.attempt
	return next
}

func (s *solve) exporter() exporter {
	switch {
	case s.attempt.layersUnreadable != nil:
		return archiveExporter{s.watchdog}
	case s.builder.info.Kind == KindDocker && !s.builder.throughSink:
		return mobyExporter{containerdStore: s.builder.containerdStore}
	}
	return layersExporter{open: s.watchdog.blobs(openBlob(s.builder.client)),
		onBytes: s.reportBytes, subject: s.req.subject()}
}

func (s *solve) imports() []CacheEntry {
	if s.attempt.importsBroken != nil {
		return nil
	}
	return s.req.CacheImports
}

// run runs the attempt.
func (s *solve) run(ctx context.Context, sink Sink) (_ Result, err error) {
	ctx, s.span = span.Start(ctx, spanSolve)
	defer s.span.Done(&err)
	defer s.watchdog.limit(time.Until(s.started.Add(s.req.Timeout)), s.req.Timeout)()
	export, deliver := s.exporter().begin(ctx, s.req.Reference, sink)
	delivering := &held{deliver: s.delivering(ctx, deliver)}
	opt := s.options(export)
	delivering.mount(&opt)
	if s.req.Tree != nil {
		up, err := newUpload(s.req.Tree)
		if err != nil {
			return Result{}, err
		}
		defer up.close()
		up.mount(&opt)
		s.upload = up
	} else if s.req.LFS != nil {
		s.lfs = newLFSUpload()
		s.lfs.mount(&opt)
	}
	response, err := s.session(ctx, opt)
	delivery, deliverErr := delivering.end(response, err)
	if err = s.outcome(err, deliverErr); err != nil {
		return Result{}, err
	}
	s.result.Delivery = delivery
	s.result.DeliverTime = time.Since(s.solved)
	s.result.Ref = opt.Ref
	if err := s.req.Provenance.check(response, s.noLayers); err != nil {
		return Result{}, err
	}
	return s.result, s.result.identify(response)
}

func (s *solve) options(export client.ExportEntry) client.SolveOpt {
	opt := client.SolveOpt{
		Exports: []client.ExportEntry{export},
		// The client writes the imports into FrontendAttrs, which must not be nil.
		CacheImports: cloneEntries(s.imports()), FrontendAttrs: s.req.historyAttrs(),
		Ref:     identity.NewID(),
		Session: []session.Attachable{secretsprovider.NewSecretProvider(s.gate)},
	}
	if s.builder.registry != nil && !s.req.Anonymous {
		opt.Session = append(opt.Session, s.builder.registry)
	}
	return opt
}

// session runs the Build session and returns the exporter's response.
func (s *solve) session(ctx context.Context, opt client.SolveOpt) (map[string]string, error) {
	status := make(chan *client.SolveStatus)
	relayed := make(chan struct{})
	go func() {
		defer close(relayed)
		s.statuses.run(status, s.builder.redactor(s.req), s.req.Progress)
	}()
	s.stepsEnded = s.watchdog.watch(s.watchdog.stalledStep)
	resp, err := s.builder.client.Build(ctx, opt, "pinion", s.build, status)
	s.stepsEnded()
	<-relayed
	if err != nil {
		return nil, err
	}
	return resp.ExporterResponse, nil
}

// identify takes the image's digests from the exporter's response. Without a digest the image in
// the store cannot be verified.
func (r *Result) identify(response map[string]string) error {
	r.ManifestDigest = response[exptypes.ExporterImageDigestKey]
	r.ConfigDigest = response[exptypes.ExporterImageConfigDigestKey]
	if r.ManifestDigest == "" && r.ConfigDigest == "" {
		return &Error{Op: "deliver", Kind: ErrDelivery, Err: errNoDigest}
	}
	if root, err := exported(response); err == nil && root.Digest.String() == r.ManifestDigest {
		r.Descriptor = &ocispecs.Descriptor{MediaType: root.MediaType, Digest: root.Digest,
			Size: root.Size, Platform: root.Platform, Annotations: root.Annotations}
	}
	return nil
}

// outcome joins the errors of the solve and the delivery. After the last step a failure is the
// delivery's, and either error may name its cause: a full store, or a builder that cannot read what
// it made.
func (s *solve) outcome(solveErr, deliverErr error) error {
	switch {
	case deliverErr != nil && !s.solved.IsZero():
		if solveErr != nil && !errors.Is(deliverErr, solveErr) {
			deliverErr = fmt.Errorf("%w; the builder says: %w", deliverErr, solveErr)
		}
		return &Error{Op: "deliver", Kind: ErrDelivery, Err: deliverErr}
	case solveErr != nil:
		return solveErr
	default:
		return deliverErr
	}
}

// build runs inside the Build session.
func (s *solve) build(ctx context.Context, c gateway.Client) (*gateway.Result, error) {
	defer s.stepsEnded()
	ctx = s.span.In(ctx)
	fetching, fetch := span.Start(ctx, spanFetch)
	co, in, err := s.checkout(fetching, c)
	fetch.End(err)
	if err != nil {
		errors.As(err, &s.failed)
		return nil, err
	}
	s.gate.close()
	s.dockerfile, s.source = in.dockerfile, headOf(ctx, c, co.state)
	s.fetched = time.Now()
	s.result.Fetch = Fetch{Strategy: co.strategy}
	s.result.Warnings = append(slices.Clone(in.warnings), replacedLabels(in.dockerfile, s.req)...)
	s.result.Ignored = len(in.ignore) > 0
	s.result.Args = in.args
	if s.req.OnArgs != nil {
		s.req.OnArgs(in.args)
	}
	s.result.FetchTime = s.fetched.Sub(s.started)

	lfs := s.lookForLFS(ctx, c, co, in)
	running, steps := span.Start(ctx, spanSteps)
	res, err := s.frontend(running, c, co, in)
	steps.End(err)
	if <-lfs {
		s.result.Warnings = append(s.result.Warnings,
			"the repository uses Git LFS; its files are pointers in the build context, unless "+
				"lfs is true for the template in the catalogue")
	}
	if err = failpoint.At(ctx, failpoint.Solved, err); err != nil {
		return nil, err
	}
	s.solved = time.Now()
	s.result.SolveTime = s.solved.Sub(s.fetched)
	return res, nil
}

func (s *solve) checkout(ctx context.Context, c gateway.Client) (*checkout, *inspection, error) {
	if s.upload != nil {
		st, tree, err := s.upload.receive(ctx, c, "take the working tree")
		return &checkout{state: st, tree: tree, strategy: StrategyLocal, ready: true},
			s.req.Tree.inspection, err
	}
	co, err := fetch(ctx, c, s.req, s.attempt.commitRefused != nil, s.gate)
	if err != nil {
		return nil, nil, fetchError("fetch", err)
	}
	in, err := inspect(ctx, co, s.req)
	err = inspectError(ctx, err)
	if err = failpoint.At(ctx, failpoint.Fetched, err); err != nil {
		return nil, nil, fetchError("inspect", err)
	}
	return co, in, s.withLFS(ctx, c, co, in)
}

// inspectError returns the error of an inspection as an [*Error]: the builder has the tree by then,
// so what cannot be read of it is the template's fault, unless the builder itself failed.
func inspectError(ctx context.Context, err error) error {
	if _, ours := errors.AsType[*Error](err); ours || err == nil || ctx.Err() != nil {
		return err
	}
	kind := ErrRefused
	switch code := grpcerrors.Code(err); {
	case exhausted(err.Error()):
		kind = ErrExhausted
	case code == codes.Unavailable, code == codes.Canceled:
		kind = ErrNoBuilder
	}
	return &Error{Op: "inspect", Kind: kind, Err: harmless(err)}
}

// fetchError returns err as an [*Error], of the kind ErrFetch unless it is one already.
func fetchError(op string, err error) error {
	if _, ours := errors.AsType[*Error](err); ours {
		return err
	}
	return &Error{Op: op, Kind: ErrFetch, Err: err}
}
