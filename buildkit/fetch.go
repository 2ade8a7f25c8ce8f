package buildkit

import (
	"context"

	"github.com/moby/buildkit/client/llb"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	fstypes "github.com/tonistiigi/fsutil/types"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// checkout is a commit's tree on the builder. The Build session holds it for as long as it lasts,
// so that nothing can prune it between the inspection and the solve.
type checkout struct {
	state      llb.State
	tree       files
	strategy   Strategy
	submodules bool // whether the builder may have fetched submodules
	ready      bool // whether it is the build context as it is
}

// fetch brings the commit to the builder: the commit alone where the builder can and long does not
// forbid it, else by its SHA out of the repository's refs. Neither form names a branch.
func fetch(ctx context.Context, c gateway.Client, req Request, long bool) (*checkout, error) {
	caps := c.BuildOpts().LLBCaps
	if caps.Supports(pb.CapSourceGitFetchByCommit) == nil {
		if long {
			return fetchBy(ctx, c, req, StrategySHA)
		}
		co, err := fetchBy(ctx, c, req, StrategyCommit)
		if err != nil {
			return nil, &refusedCommit{err}
		}
		return co, nil
	}
	if req.Revision.Format() == git.SHA256 {
		// BuildKit of the 0.8 line takes 64 digits for the name of a ref, and a branch can be
		// called so.
		return nil, refuse("a sha256 repository needs BuildKit 0.30 or later (`--addr`)")
	}
	return fetchBy(ctx, c, req, StrategySHA)
}

// refusedCommit is the failure of a fetch of the commit alone. The way out is the long fetch in
// another Build session: in the same one BuildKit takes both for the same step, since they have the
// same cache key, and answers with the failure that it knows. Servers that give out nothing but
// what their refs point to are fetched so.
type refusedCommit struct{ error }

func (e *refusedCommit) Unwrap() error { return e.error }

func fetchBy(ctx context.Context, c gateway.Client, req Request, s Strategy) (*checkout, error) {
	caps := c.BuildOpts().LLBCaps
	skipsSubmodules := caps.Supports(pb.CapSourceGitSkipSubmodules) == nil
	st := gitSource(req, s, skipsSubmodules, caps.Supports(pb.CapSourceGitChecksum) == nil)
	tree, err := take(ctx, c, st)
	if err != nil {
		return nil, err
	}
	return &checkout{state: st, tree: tree, strategy: s, submodules: !skipsSubmodules}, nil
}

// take has the builder get the tree now, while the credential is there: results are lazy until
// somebody reads them.
func take(ctx context.Context, c gateway.Client, st llb.State) (files, error) {
	def, err := st.Marshal(ctx, llb.WithCaps(c.BuildOpts().LLBCaps))
	if err != nil {
		return nil, err
	}
	res, err := c.Solve(ctx, gateway.SolveRequest{Definition: def.ToPB()})
	if err != nil {
		return nil, err
	}
	ref, err := res.SingleRef()
	if err != nil {
		return nil, err
	}
	tree := listed{ref, map[string][]*fstypes.Stat{}}
	_, err = list(ctx, tree, ".")
	return tree, err
}

// gitSource builds the source from parts. The ref is the SHA itself in both strategies, with the
// checksum beside it where the builder knows one, so there is no branch that BuildKit could follow.
func gitSource(req Request, s Strategy, skipSubmodules, checksum bool) llb.State {
	opts := []llb.GitOption{
		llb.GitRef(req.Revision.String()),
		llb.WithCustomNamef("fetch %s#%s", req.Remote, req.Revision.Short()),
	}
	if checksum {
		opts = append(opts, llb.GitChecksum(req.Revision.String()))
	}
	if s == StrategyCommit {
		opts = append(opts, llb.GitFetchByCommit())
	}
	if skipSubmodules {
		opts = append(opts, llb.GitSkipSubmodules())
	}
	return llb.Git(req.Remote.GitURL(), "", opts...)
}

// evaluate solves now: results are lazy until something reads them, and reading the root is a way
// that every builder understands (Docker 20.10 takes the Evaluate flag and ignores it for
// frontends). So a failing step is an error of the solve and not of the export. To be read the
// image is mounted, so layers that the builder knows of and has not fetched yet, from a base or a
// cache, are fetched here too, and fail here.
func evaluate(ctx context.Context, c gateway.Client,
	req gateway.SolveRequest) (*gateway.Result, error) {
	res, err := c.Solve(ctx, req)
	if err != nil {
		return nil, err
	}
	ref, err := res.SingleRef()
	if err != nil || ref == nil { // FROM scratch and nothing else has no ref
		return res, err
	}
	_, err = ref.ReadDir(ctx, gateway.ReadDirRequest{Path: "."})
	return res, err
}
