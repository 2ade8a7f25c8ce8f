package cli

import (
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/terminal"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

type ensureFlags struct {
	format        string
	quiet         bool
	progress      string
	progressGiven bool
	iidFile       string
	metadataFile  string
	sha           string
	allowAnySHA   bool
	path          string
	pathGiven     bool
	pull          bool
	noCache       bool
	labels        []string
	attest        []string
	cacheFrom     []string
	cacheTo       []string
	buildArgs     []string // which are refused
	push          bool
	registry      string
}

func (f *ensureFlags) register(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.SortFlags = false
	formatFlag(fs, &f.format, formatText)
	fs.BoolVarP(&f.quiet, "quiet", "q", false,
		"print the image ID alone; no progress and no log lines")
	f.registerProgress(cmd)
	fs.StringVar(&f.iidFile, "iidfile", "", "write the image ID to a `file`; with one name only")
	fs.StringVar(&f.metadataFile, "metadata-file", "",
		"write digests, descriptor, name and build reference to a `file` as JSON, with the keys "+
			"of docker buildx; with several names an object by name")
	f.registerSource(fs)
	fs.StringArrayVar(&f.labels, "label", nil,
		"put a label on the image, `key=value`; its tag tells it from the one without")
	fs.StringArrayVar(&f.attest, "attest", nil,
		"attach how the image was made, `type=provenance,mode=max` or mode=min; its tag tells it "+
			"from the one without")
	fs.StringArrayVar(&f.cacheFrom, "cache-from", nil,
		"a cache to read besides --cache, `type=registry,ref=...` or type=local,src=...")
	fs.StringArrayVar(&f.cacheTo, "cache-to", nil,
		"where to save the cache of a build besides --cache, `type=registry,ref=...` or "+
			"type=local,dest=...; with one name only")
	fs.StringArrayVar(&f.buildArgs, "build-arg", nil, "")
	_ = fs.MarkHidden("build-arg") // it is there
	fs.BoolVar(&f.push, "push", false,
		"push to --registry too, under the commit and, without --sha, as latest")
	fs.StringVar(&f.registry, "registry", "",
		"where --push takes the images: what MOLECULE_IMAGE_REGISTRY is elsewhere, a `prefix`")
	completeChoices(cmd, "format", formatText, formatJSON)
}

// registerSource adds the flags that say what the image is made of.
func (f *ensureFlags) registerSource(fs *pflag.FlagSet) {
	fs.StringVar(&f.sha, "sha", "",
		"take this `commit`, 40 or 64 hex digits, instead of the branch's head; with one name only")
	fs.BoolVar(&f.allowAnySHA, "allow-any-sha", false,
		"let --sha name a commit that is not on the template's branch")
	fs.StringVar(&f.path, "path", "",
		"take the working tree in this `folder`, the repository's root, instead of a commit; "+
			"with one name only")
	fs.BoolVar(&f.pull, "pull", false,
		"ask the registries again for images, those in FROM included")
	fs.BoolVar(&f.noCache, "no-cache", false, "run every step again")
}

func (f *ensureFlags) registerProgress(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.progress, "progress", "",
		"progress `mode`: auto, plain, tty, quiet or rawjson (BUILDKIT_PROGRESS, default auto)")
	var modes []string
	for _, m := range terminal.Modes() {
		modes = append(modes, string(m))
	}
	completeChoices(cmd, "progress", modes...)
}

// given notes what was given and not only left at its default.
func (f *ensureFlags) given(fs *pflag.FlagSet) {
	f.progressGiven, f.pathGiven = fs.Changed("progress"), fs.Changed("path")
}

func (f *ensureFlags) json() bool { return f.format == formatJSON }

// display decides what stderr shows. The flag beats the variable, and -q beats the variable too.
func (f *ensureFlags) display(env environment, names int) (display, error) {
	if err := oneOf("format", f.format, formatText, formatJSON); err != nil {
		return display{}, err
	}
	value, source := env.progress, envProgress
	if f.progressGiven {
		value, source = f.progress, "--progress"
	}
	if f.quiet && !f.progressGiven {
		value = string(terminal.Quiet)
	}
	mode, err := terminal.ParseMode(value)
	switch {
	case err != nil:
		return display{}, usage("%s: %w", source, err)
	case f.quiet && f.json():
		return display{},
			usage("--quiet prints image IDs and --format json objects; give one of them")
	case f.quiet && mode != terminal.Quiet:
		return display{}, usage("--quiet shows no progress, so it goes without --progress %s", mode)
	}
	return display{mode: mode, names: names > 1, silent: f.quiet}, nil
}

func (f *ensureFlags) forNames(names int) error {
	switch {
	case f.iidFile != "" && names > 1:
		return usage("--iidfile holds one image ID, and %d names were given; --metadata-file "+
			"holds several", names)
	case len(f.cacheTo) > 0 && names > 1:
		return usage("--cache-to is the cache of one template, and %d names were given; --cache "+
			"holds several", names)
	case f.sha != "" && names > 1:
		return usage("--sha is a commit of one template, and %d names were given", names)
	case f.pathGiven && names > 1:
		return usage("--path is the working tree of one template, and %d names were given", names)
	}
	return nil
}

func (f *ensureFlags) options() (opts []pinion.EnsureOption, err error) {
	switch {
	case len(f.buildArgs) > 0:
		return nil,
			usage("--build-arg: nothing from outside enters a build, so that a commit is one " +
				"image; give ARG a default in the Dockerfile")
	case f.push != (strings.TrimSpace(f.registry) != ""):
		return nil,
			usage("--push and --registry go together: --push --registry registry.example/team")
	case f.push && f.pathGiven:
		return nil, usage("--push is for commits, and --path is a working tree")
	case f.sha == "" && f.allowAnySHA:
		return nil, usage("--allow-any-sha goes with --sha")
	case f.sha != "" && f.pathGiven:
		return nil, usage("--sha is a commit and --path a working tree; give one of them")
	}
	if f.pathGiven {
		opts = append(opts, pinion.AtPath(f.path))
	}
	if f.sha != "" {
		rev, err := git.ParseRevision(f.sha)
		if err != nil {
			return nil, usage("--sha: %w", err)
		}
		opts = append(opts, pinion.AtRevision(rev, f.allowAnySHA))
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

// print writes one result.
func (f *ensureFlags) print(w io.Writer, img pinion.Image) error {
	switch {
	case f.json():
		return writeJSON(w, img)
	case f.quiet:
		_, err := fmt.Fprintln(w, img.ID)
		return err
	}
	_, err := fmt.Fprintln(w, img.Reference)
	return err
}

// warn logs what did not stop the work and somebody should know.
func warn(log *slog.Logger, img pinion.Image) {
	for _, w := range img.Warnings {
		log.Warn(img.Name + ": " + w)
	}
	if !img.SupersededBy.IsZero() {
		log.Warn(fmt.Sprintf("%s: the branch has moved to %s meanwhile; ask again to build that",
			img.Name, img.SupersededBy.Short()))
	}
}
