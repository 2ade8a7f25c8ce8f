package buildkit

import (
	"context"
	"errors"

	"github.com/moby/buildkit/client/llb"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/apicaps"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// fetchPrefix begins the names of vertices that fetch a commit.
const fetchPrefix = "fetch "

// checkout is a commit's tree on the builder. The Build session holds it until it ends, so the
// builder cannot prune it between the inspection and the solve.
type checkout struct {
	state      llb.State
	tree       files
	strategy   Strategy
	submodules bool // whether the builder may have fetched submodules
	ready      bool // whether the tree is the build context without a copy
	modules    []resolved
	lfs        *llb.State // files of the context from Git LFS; nil for none
}

// fetch brings the commit to the builder. refs forbids to fetch single commits. The gate gets the
// credentials of submodules.
func fetch(
	ctx context.Context, c gateway.Client, req Request, refs bool, g *gate,
) (*checkout, error) {
	caps := c.BuildOpts().LLBCaps
	strategy, err := chooseStrategy(&caps, req.Revision, refs)
	if err != nil {
		return nil, err
	}
	skipsSubmodules := caps.Supports(pb.CapSourceGitSkipSubmodules) == nil
	st := gitSource(req, strategy, &caps, skipsSubmodules)
	tree, err := take(ctx, c, st)
	if err != nil && strategy == StrategyCommit {
		err = &refusedCommit{err}
	}
	if err != nil {
		return nil, err
	}
	co := &checkout{state: st, tree: tree, strategy: strategy, submodules: !skipsSubmodules}
	return withSubmodules(ctx, c, co, req, g)
}

// chooseStrategy returns the strategy for the builder's capabilities. No strategy names a branch.
func chooseStrategy(caps *apicaps.CapSet, rev git.Revision, refs bool) (Strategy, error) {
	switch byCommit := caps.Supports(pb.CapSourceGitFetchByCommit) == nil; {
	case byCommit && !refs:
		return StrategyCommit, nil
	case !byCommit && rev.Format() == git.SHA256:
		// BuildKit of the 0.8 line takes 64 digits for the name of a ref, and a branch can have
		// that name.
		return "", tooOld("a sha256 repository takes BuildKit 0.30 or later in the builder")
	}
	return StrategySHA, nil
}

// tooOld returns a refusal for something that the builder's BuildKit lacks.
func tooOld(text string) error {
	return refuse("%w", errdef.In(errdef.BuilderTooOld, "", errors.New(text)))
}

// refusedCommit is the failure of a fetch of the single commit. Servers that give out only what
// their refs point to fail so. A fetch of the refs takes another Build session: in the same session
// BuildKit sees one step in both fetches, because their cache keys are equal, and returns the first
// failure again.
type refusedCommit struct{ error }

func (e *refusedCommit) Unwrap() error { return e.error }

// take makes the builder get the tree now, while it can ask for the credential. Results are lazy
// until something reads them.
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
	tree := newListed(remoteFiles{ref})
	_, err = tree.ReadDir(ctx, gateway.ReadDirRequest{Path: "."})
	if err != nil && !errors.Is(err, errOddName) {
		return nil, err
	}
	return tree, nil
}

// gitSource returns the source, built from parts. In both strategies the ref is the SHA itself,
// with the checksum beside it if the builder knows checksums, so BuildKit has no branch to follow.
func gitSource(req Request, s Strategy, caps *apicaps.CapSet, skipSubmodules bool) llb.State {
	opts := []llb.GitOption{
		llb.GitRef(req.Revision.String()),
		llb.WithCustomNamef(fetchPrefix+"%s#%s", req.Remote, req.Revision.Short()),
	}
	if caps.Supports(pb.CapSourceGitChecksum) == nil {
		opts = append(opts, llb.GitChecksum(req.Revision.String()))
	}
	if s == StrategyCommit {
		opts = append(opts, llb.GitFetchByCommit())
	}
	if req.KeepGitDir {
		opts = append(opts, llb.KeepGitDir())
	}
	if skipSubmodules {
		opts = append(opts, llb.GitSkipSubmodules())
	}
	return llb.Git(req.Remote.GitURL(), "", opts...)
}
