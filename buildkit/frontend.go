package buildkit

import (
	"context"
	"errors"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client/llb"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
)

// frontend runs the Dockerfile frontend on the inspected Dockerfile and the context.
func (s *solve) frontend(
	ctx context.Context, c gateway.Client, co *checkout, in *inspection,
) (*gateway.Result, error) {
	buildContext, err := contextState(ctx, c, co, s.req, in)
	if err != nil {
		return nil, err
	}
	dockerfile := dockerfileState(s.req.filename(), in.dockerfile)
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
	res, err := s.runFrontend(ctx, c, gateway.SolveRequest{Frontend: frontend, FrontendOpt: opts,
		FrontendInputs: inputs})
	if err != nil {
		errors.As(err, &s.failed)
		return nil, err
	}
	ref, err := res.SingleRef()
	if err != nil {
		return nil, err
	}
	s.noLayers = ref == nil
	s.result.Graph = graphOf(ctx, c, res)
	if err := s.checkBase(ctx, c); err != nil {
		errors.As(err, &s.failed)
		return nil, err
	}
	return res, evaluate(ctx, res)
}

// frontendOpts returns all the options that the Dockerfile frontend gets. The only build arguments
// among them are those of the rules, and the proxies of the Docker config.
func (s *solve) frontendOpts(in *inspection) (frontend string, opts map[string]string) {
	opts = map[string]string{
		"platform": platforms.Format(s.req.Platform),
		"filename": s.req.filename(),
		// With "cmdline" set the frontend does not look for `# syntax=` itself, so the inspected
		// frontend is the frontend that runs.
		"cmdline": in.frontendCmdline,
	}
	if s.req.Target != "" {
		opts["target"] = s.req.Target
	}
	for k, v := range s.req.Labels {
		opts["label:"+k] = v
	}
	for k, v := range s.builder.proxies {
		if !s.req.Anonymous || !hasUser(v) {
			opts["build-arg:"+k] = v
		}
	}
	for _, a := range in.args {
		opts["build-arg:"+a.Name] = a.Value
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

// evaluate reads the root of the result, so that a failing step is an error of the
// solve and not of the export. Results are lazy until something reads them, and every builder can
// read: Docker 20.10 accepts the Evaluate flag and ignores it for frontends. The builder mounts the
// image to read it, so layers of a base or a cache that it has not fetched yet are fetched here
// too, and fail here.
func evaluate(ctx context.Context, res *gateway.Result) error {
	ref, err := res.SingleRef()
	if err != nil || ref == nil { // an empty image (FROM scratch alone) has no ref
		return err
	}
	_, err = remoteFiles{ref}.ReadDir(ctx, gateway.ReadDirRequest{Path: "."})
	if errors.Is(err, errOddName) {
		err = nil // it was read
	}
	return err
}
