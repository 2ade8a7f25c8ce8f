package flags

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// Ensure holds the flags of ensure. The verb run registers some of them.
type Ensure struct {
	Format       string
	Quiet        bool
	IIDFile      string
	MetadataFile string

	progress    string
	progressSet bool
	sha         string
	allowAnySHA bool
	path        string
	pathSet     bool
	pullRequest int
	pullReqSet  bool
	pull        bool
	noCache     bool
	waitCache   bool
	labels      []string
	attest      []string
	cacheFrom   []string
	cacheTo     []string
	buildArgs   []string // rejected with an explanation
	push        bool
	registry    string
}

// Register adds all flags to a command.
func (f *Ensure) Register(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.SortFlags = false
	AddFormat(cmd, &f.Format, FormatText)
	fs.BoolVarP(&f.Quiet, "quiet", "q", false,
		"print only image IDs, and to stderr warnings and errors")
	f.RegisterProgress(cmd)
	fs.StringVar(&f.IIDFile, "iidfile", "", "write the image ID to a `file`; for one name only")
	fs.StringVar(&f.MetadataFile, "metadata-file", "",
		"write digests, descriptor, name, build reference and warnings to a `file` as JSON, with "+
			"the keys of docker buildx; for several names, one object for each")
	f.RegisterSource(cmd)
	fs.StringArrayVar(&f.labels, "label", nil,
		"add a label, `key=value`; the image's tag depends on its labels")
	fs.StringArrayVar(&f.attest, "attest", nil,
		"attach an `attestation`: type=provenance,mode=max or mode=min; "+
			"the image's tag depends on it")
	fs.StringArrayVar(&f.cacheFrom, "cache-from", nil,
		"read a further build `cache`: type=registry,ref=... or type=local,src=...")
	fs.StringArrayVar(&f.cacheTo, "cache-to", nil,
		"save a further build `cache`: type=registry,ref=... or type=local,dest=...; "+
			"for one name only")
	fs.StringArrayVar(&f.buildArgs, "build-arg", nil, "")
	_ = fs.MarkHidden("build-arg") // it fails only for a flag that does not exist
	fs.BoolVar(&f.push, "push", false,
		"also push the image to --registry, under its commit and, without --sha and "+
			"--pull-request, as latest")
	fs.StringVar(&f.registry, "registry", "",
		"registry `prefix` for --push, which others set as MOLECULE_IMAGE_REGISTRY")
}

// RegisterSource adds the flags that choose what is built, and how.
func (f *Ensure) RegisterSource(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.sha, "sha", "",
		"build this `commit` (40 or 64 hex digits) instead of the branch's head; for one name only")
	fs.BoolVar(&f.allowAnySHA, "allow-any-sha", false,
		"allow a --sha that is not on the template's branch")
	fs.StringVar(&f.path, "path", "",
		"build the working tree in this `folder`, the repository's root, instead of a commit; "+
			"for one name only")
	fs.IntVar(&f.pullRequest, "pull-request", 0,
		"build the head of the pull request with this `number`, which the config file must allow; "+
			"for one name only")
	fs.BoolVar(&f.pull, "pull", false,
		"check the registries for newer images, including those in FROM")
	fs.BoolVar(&f.noCache, "no-cache", false, "run every step of the Dockerfile again")
	fs.BoolVar(&f.waitCache, "wait-cache", false,
		"wait until the build cache is saved, where the machine ends with the command "+
			"(PINION_WAIT_CACHE)")
}

// WaitsForCache reports whether the command goes on until build caches are saved.
func (f *Ensure) WaitsForCache(env Environment) bool {
	return f.waitCache || isOn(env.waitCache)
}

// NoteSet records which flags were set explicitly. It must be called after parsing.
func (f *Ensure) NoteSet(fs *pflag.FlagSet) {
	f.progressSet, f.pathSet = fs.Changed("progress"), fs.Changed("path")
	f.pullReqSet = fs.Changed("pull-request")
}

// JSON reports whether results are printed as JSON.
func (f *Ensure) JSON() bool { return f.Format == FormatJSON }

// CheckNames rejects flags that need a single name if there are several.
func (f *Ensure) CheckNames(names int) error {
	switch {
	case f.IIDFile != "" && names > 1:
		return Errorf("--iidfile takes the image ID of one template, not of %d; --metadata-file "+
			"takes several", names)
	case len(f.cacheTo) > 0 && names > 1:
		return Errorf(
			"--cache-to takes the cache of one template, not of %d; --cache takes several", names,
		)
	case f.sha != "" && names > 1:
		return Errorf("--sha is a commit of one template, not of %d", names)
	case f.pathSet && names > 1:
		return Errorf("--path is the working tree of one template, not of %d", names)
	case f.pullReqSet && names > 1:
		return Errorf("--pull-request is one of one template, not of %d", names)
	}
	return nil
}

// Options returns the options of the call.
func (f *Ensure) Options() (opts []pinion.EnsureOption, err error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	if f.pathSet {
		opts = append(opts, pinion.AtPath(f.path))
	}
	if f.sha != "" {
		rev, err := git.ParseRevision(f.sha)
		if err != nil {
			return nil, Errorf("--sha: %w", err)
		}
		opts = append(opts, pinion.AtRevision(rev, f.allowAnySHA))
	}
	if f.pullReqSet {
		if _, err := git.PullRequest(f.pullRequest); err != nil {
			return nil, Errorf("--pull-request: %w", err)
		}
		opts = append(opts, pinion.AtPullRequest(f.pullRequest))
	}
	if f.pull {
		opts = append(opts, pinion.Pull())
	}
	if f.noCache {
		opts = append(opts, pinion.NoCache())
	}
	for _, l := range f.labels {
		key, value, _ := strings.Cut(l, "=")
		opts = append(opts, pinion.Label(key, value))
	}
	for _, entry := range f.attest {
		opts = append(opts, pinion.Attest(entry))
	}
	for _, entry := range f.cacheFrom {
		opts = append(opts, pinion.CacheFrom(entry))
	}
	for _, entry := range f.cacheTo {
		opts = append(opts, pinion.CacheTo(entry))
	}
	if f.push {
		opts = append(opts, pinion.PushTo(f.registry))
	}
	return opts, nil
}

// check rejects flags that are not supported or do not go together.
func (f *Ensure) check() error {
	switch {
	case len(f.buildArgs) > 0:
		return Errorf("--build-arg is not supported, because a commit determines its image; set " +
			"the default of ARG in the Dockerfile, or args in the config file")
	case f.push != (strings.TrimSpace(f.registry) != ""):
		return Errorf("--push and --registry go together: --push --registry registry.example/team")
	case f.push && f.pathSet:
		return Errorf("--push excludes --path: only images of commits are pushed")
	case f.sha == "" && f.allowAnySHA:
		return Errorf("--allow-any-sha needs --sha")
	case f.sha != "" && f.pathSet:
		return Errorf("--sha is a commit and --path a working tree; use one of them")
	case f.pullReqSet && f.pathSet:
		return Errorf("--pull-request excludes --path: a working tree is of no pull request")
	case f.pullReqSet && f.allowAnySHA:
		return Errorf("--pull-request excludes --allow-any-sha: a --sha beside it must be its head")
	case f.pullReqSet && len(f.cacheTo) > 0:
		return Errorf("--pull-request excludes --cache-to: who reads the cache believes the author")
	}
	return nil
}
