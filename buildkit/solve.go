package buildkit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/identity"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/secrets/secretsprovider"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/internal/failpoint"
	"git.moleculesai.app/molecule-ai/pinion/internal/redact"
)

var (
	errNothingExported = errors.New("the builder exported nothing")
	errNoDigest        = errors.New("the builder reported no digest for the image; it is not used")
)

// Solve builds the request and leaves the image in the store under req.Reference: by the engine's
// own exporter, or through sink. One Build session spans it all: fetch and inspect with the
// credential within reach, then the frontend without it. The error is an [*Error] whose kind tells
// the cases apart, or the context's.
func (b *Builder) Solve(ctx context.Context, req Request, sink Sink) (Result, error) {
	if err := b.RequirePlatform(req.Platform); err != nil {
		return Result{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := newSolve(b, req, time.Now(), cancel)
	res, err := s.run(ctx, s.exporter(), sink)
	if refused := s.refused(); refused != nil && ctx.Err() == nil {
		s = s.again(true, cancel)
		if res, err = s.run(ctx, s.exporter(), sink); s.failed != nil {
			s.failed.Err = fmt.Errorf("%w (asked for the single commit: %w)", s.failed.Err, refused)
		}
	}
	var importFailed error
	if err != nil && ctx.Err() == nil && s.mayBlameImports(ctx, err) {
		importFailed = redact.New(req.Token).Error(harmless(err))
		s.req.CacheImports = nil
		s = s.again(s.long, cancel)
		res, err = s.run(ctx, s.exporter(), sink)
	}
	if errors.Is(err, errUnreadable) && !errors.Is(err, errNoArchive) && ctx.Err() == nil {
		reason := err
		s = s.again(s.long, cancel)
		res, err = s.run(ctx, archiveExporter{s.guard}, sink)
		res.Delivery.Reason = reason.Error()
	}
	if err == nil {
		res.ImportFailed = importFailed
		return res, nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return Result{}, cause
	}
	return Result{}, redact.New(req.Token).Error(s.explain(ctx, err))
}

func (s *solve) exporter() exporter {
	if s.builder.info.Kind == KindDocker && !s.builder.throughSink {
		return mobyExporter{containerdStore: s.builder.containerdStore}
	}
	return layersExporter{open: s.guard.blobs(openBlob(s.builder.client)), onBytes: s.reportBytes,
		subject: s.req.subject()}
}

// solve is the state of one Build.
type solve struct {
	builder *Builder
	req     Request
	gate    *gate
	watch   watcher
	guard   *stallGuard
	// stepsEnded ends the guard over fetch and steps; it may be called again.
	stepsEnded func()
	result     Result
	// upload is nil unless a working tree is built.
	upload *upload
	// failed is the error of our own half of the Build. It is kept here since what comes back from
	// the builder is that error's text alone.
	failed *Error
	// long forbids to fetch the commit alone.
	long bool
	// dockerfile is what was inspected; nil until then.
	dockerfile []byte
	// source is the vertex that holds what was fetched.
	source digest.Digest

	started, fetched, solved time.Time
	transfer                 transfer
}

func newSolve(b *Builder, req Request, started time.Time, cancel context.CancelCauseFunc) *solve {
	guard := newStallGuard(req.StallAfter, cancel)
	return &solve{
		builder: b, req: req, started: started, gate: newGate(req.Remote, req.Token),
		watch: watcher{seen: guard.see}, guard: guard,
	}
}

// again is the same solve from the beginning, in a Build session of its own.
func (s *solve) again(long bool, cancel context.CancelCauseFunc) *solve {
	next := newSolve(s.builder, s.req, s.started, cancel)
	next.long = long
	return next
}

// refused is why the commit alone could not be fetched, nil if it could.
func (s *solve) refused() error {
	var refused *refusedCommit
	if s.failed != nil && errors.As(s.failed, &refused) {
		return refused
	}
	return nil
}

func (s *solve) run(ctx context.Context, way exporter, sink Sink) (Result, error) {
	export, deliver := way.begin(ctx, s.req.Reference, sink)
	opt := client.SolveOpt{
		Exports: []client.ExportEntry{export},
		// The client adds the imports to the attributes, which have to be there.
		CacheImports: cloneEntries(s.req.CacheImports), FrontendAttrs: s.req.historyAttrs(),
		Ref:     identity.NewID(),
		Session: []session.Attachable{secretsprovider.NewSecretProvider(s.gate)},
	}
	if s.builder.registry != nil {
		opt.Session = append(opt.Session, s.builder.registry)
	}
	if s.req.Tree != nil {
		up, err := newUpload(s.req.Tree)
		if err != nil {
			return Result{}, err
		}
		defer up.close()
		up.mount(&opt)
		s.upload = up
	}
	status := make(chan *client.SolveStatus)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		s.watch.forward(status, redact.New(s.req.Token), s.req.Progress)
	}()
	s.stepsEnded = s.guard.watch(s.guard.stalledStep)
	resp, err := s.builder.client.Build(ctx, opt, "pinion", s.build, status)
	s.stepsEnded()
	<-watched
	var told map[string]string
	if err == nil {
		told = resp.ExporterResponse
	}
	delivery, deliverErr := s.delivering(deliver, told, err)
	if err = s.outcome(err, deliverErr); err != nil {
		return Result{}, err
	}
	s.result.Delivery = delivery
	s.result.DeliverTime = time.Since(s.solved)
	s.result.Ref = opt.Ref
	if err := s.req.Provenance.check(told); err != nil {
		return Result{}, err
	}
	return s.result, s.result.identify(told)
}

// identify takes the image's digests from the exporter's response. Without one nobody can tell
// later whether the image in the store is the one that was built.
func (r *Result) identify(told map[string]string) error {
	r.ManifestDigest = told[exptypes.ExporterImageDigestKey]
	r.ConfigDigest = told[exptypes.ExporterImageConfigDigestKey]
	if r.ManifestDigest == "" && r.ConfigDigest == "" {
		return &Error{Op: "deliver", Kind: ErrDelivery, Err: errNoDigest}
	}
	if root, err := exported(told); err == nil && root.Digest.String() == r.ManifestDigest {
		r.Descriptor = &ocispecs.Descriptor{MediaType: root.MediaType, Digest: root.Digest,
			Size: root.Size, Platform: root.Platform, Annotations: root.Annotations}
	}
	return nil
}

// outcome puts the two sides of a delivery in order. Once the solve is done, a failure is the
// delivery's, and either side may have the cause: a store that is full, or a builder that cannot
// read what it made.
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
	co, in, err := s.checkout(ctx, c)
	if err != nil {
		errors.As(err, &s.failed)
		return nil, err
	}
	s.gate.close()
	s.dockerfile, s.source = in.dockerfile, headOf(ctx, c, co.state)
	s.fetched = time.Now()
	s.result.Fetch = Fetch{Strategy: co.strategy}
	s.result.Warnings = in.warnings
	s.result.Ignored = len(in.ignore) > 0
	s.result.FetchTime = s.fetched.Sub(s.started)

	res, err := s.frontend(ctx, c, co, in)
	if err = failpoint.At(ctx, failpoint.Solved, err); err != nil {
		return nil, err
	}
	s.result.Graph = graphOf(ctx, c, res)
	s.solved = time.Now()
	s.result.SolveTime = s.solved.Sub(s.fetched)
	return res, nil
}

func (s *solve) checkout(ctx context.Context, c gateway.Client) (*checkout, *inspection, error) {
	if s.upload != nil {
		co, err := s.upload.receive(ctx, c)
		return co, s.req.Tree.inspection, err
	}
	co, err := fetch(ctx, c, s.req, s.long)
	if err != nil {
		return nil, nil, fetching("fetch", err)
	}
	in, err := inspect(ctx, co, s.req)
	if err = failpoint.At(ctx, failpoint.Fetched, err); err != nil {
		return nil, nil, fetching("inspect", err)
	}
	return co, in, nil
}

// fetching gives the kind ErrFetch to whatever is not a refusal of ours.
func fetching(op string, err error) error {
	var ours *Error
	if errors.As(err, &ours) {
		return err
	}
	return &Error{Op: op, Kind: ErrFetch, Err: err}
}

func (s *solve) frontend(ctx context.Context, c gateway.Client, co *checkout,
	in *inspection) (*gateway.Result, error) {
	buildContext, err := contextState(ctx, c, co, s.req, in)
	if err != nil {
		return nil, err
	}
	dockerfile := dockerfileState(s.req.Dockerfile, in.dockerfile)
	inputs := map[string]*pb.Definition{}
	for name, st := range map[string]llb.State{"dockerfile": dockerfile, "context": buildContext} {
		def, err := st.Marshal(ctx, llb.WithCaps(c.BuildOpts().LLBCaps))
		if err != nil {
			return nil, err
		}
		inputs[name] = def.ToPB()
	}
	frontend, opts := s.frontendOpts(in)
	if imports := c.BuildOpts().Opts[optCacheImports]; imports != "" {
		opts[optCacheImports] = imports
	}
	return evaluate(ctx, c, gateway.SolveRequest{Frontend: frontend, FrontendOpt: opts,
		FrontendInputs: inputs})
}

// frontendOpts are all the options that the Dockerfile frontend gets. There is no build argument
// among them, BUILDKIT_SYNTAX included.
func (s *solve) frontendOpts(in *inspection) (frontend string, opts map[string]string) {
	opts = map[string]string{
		"platform": platforms.Format(s.req.Platform),
		"filename": s.req.Dockerfile,
		// With "cmdline" set the frontend does not look for `# syntax=` again: what was inspected
		// is what runs.
		"cmdline": in.frontendCmdline,
	}
	if s.req.Target != "" {
		opts["target"] = s.req.Target
	}
	for k, v := range s.req.Labels {
		opts["label:"+k] = v
	}
	if s.req.NoCache {
		opts["no-cache"] = ""
	}
	if s.req.Pull {
		opts["image-resolve-mode"] = "pull"
	}
	if in.frontendImage == "" {
		return "dockerfile.v0", opts
	}
	opts["source"] = in.frontendImage
	return "gateway.v0", opts
}
