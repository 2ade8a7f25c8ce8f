package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/exitcode"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/output"
)

const ensureLong = `Ensure that the image of each template's current commit is in the local image
store, and print its reference.

An image that exists is verified and used. Otherwise BuildKit builds it from the pinned commit; if
MOLECULE_IMAGE_REGISTRY names a registry, the image is pulled from there, each time since its tag
moves. Several templates are built in parallel. A failure of one does not stop the others; the first
failure in the order of the arguments decides the exit code.

With --path, a working tree is built instead of the commit, by the same steps and without the git
server. The tag is dev- and the digest of the files that .dockerignore leaves; an unchanged tree is
not built again.

With --pull-request, the head of a pull request is built, if the config file allows that. Its tag is
pr-, the number and the commit, and its build gets no registry logins. With --sha beside it, the
head must be that commit.

The cache of a builder outside the Docker engine is saved after the build (--cache), so that other
builders repeat only changed steps. A process of its own does that, which "pinion builds" shows;
with --wait-cache, this one. The results are printed before that, and it is safe to interrupt it.

--push also pushes the images to the registry that others name in MOLECULE_IMAGE_REGISTRY, with the
credentials of docker login; the JSON result lists names and digests. Behind a proxy that limits
requests, and from a folder, they go in pieces. Neither --sha nor --pull-request moves :latest.

References are printed to stdout, one a line, in the order of the arguments. Progress and log lines
are printed to stderr.`

const ensureExample = `  pinion ensure claude-code
  docker run --rm $(pinion ensure claude-code)
  docker create $(pinion ensure -q hermes)
  pinion ensure claude-code hermes langgraph --format json
  pinion ensure claude-code --path ~/src/my-template
  pinion ensure claude-code --sha c4ec4b2024cf5f7c0e9d2a1b3c4d5e6f708192a3
  pinion ensure claude-code --pull-request 7
  pinion ensure claude-code --metadata-file build.json
  pinion ensure claude-code --cache registry:registry.example/cache --wait-cache
  pinion ensure claude-code hermes --push --registry registry.example/team`

func (a *app) ensureCommand() *cobra.Command {
	f := &flags.Ensure{}
	cmd := &cobra.Command{
		Use:               "ensure [flags] NAME...",
		Short:             "Find or build the images of templates and print their references",
		Long:              ensureLong,
		Example:           ensureExample,
		Args:              flags.SomeNames,
		ValidArgsFunction: a.completeNames(0),
		RunE: func(cmd *cobra.Command, names []string) error {
			f.NoteSet(cmd.Flags())
			return a.ensure(cmd.Context(), names, f)
		},
	}
	f.Register(cmd)
	return cmd
}

// ensure checks flags, names and files before it starts any work.
func (a *app) ensure(ctx context.Context, names []string, f *flags.Ensure) (err error) {
	show, err := f.Display(a.env, len(names))
	if err != nil {
		return err
	}
	if err := f.CheckNames(len(names)); err != nil {
		return err
	}
	opts, err := f.Options()
	if err != nil {
		return err
	}
	a.leavesCache = !f.WaitsForCache(a.env)
	s, err := a.open(show)
	if err != nil {
		return err
	}
	// Close writes what waited for the display, which may fail.
	defer func() { err = errors.Join(err, s.term.Close()) }()
	// Results are printed by then. An interrupt from here on does not change them.
	defer func() { _ = s.Close(ctx) }()
	defer a.record(ctx, s, "ensure")()
	if unknown := unknownNames(s.Names(), names); len(unknown) > 0 {
		// They fail before any input or output, with an error that lists the known names.
		names, opts = unknown, nil
	}
	files, err := openResultFiles(f)
	if err != nil {
		return err
	}
	defer files.discard()
	images, err := a.ensureAll(ctx, s, names, opts, f)
	if err != nil {
		return err
	}
	return files.commit(images)
}

func unknownNames(known, names []string) (unknown []string) {
	for _, name := range names {
		if !slices.Contains(known, name) {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

// ensureAll prints each result as soon as all results before it are printed.
func (a *app) ensureAll(
	ctx context.Context, s *session, names []string, opts []pinion.EnsureOption, f *flags.Ensure,
) ([]pinion.Image, error) {
	stdout, stderr := s.term.Stdout(a.program.Stdout), s.term.Stderr()
	var images []pinion.Image
	failed := 0
	for i, result := range inParallel(ctx, s, names, opts) {
		got := <-result
		if got.err == nil {
			images = append(images, got.image)
			warn(s.log, got.image)
			if err := printImage(stdout, f, got.image); err != nil {
				return nil, fmt.Errorf("stdout: %w", err)
			}
			continue
		}
		code := exitCode(ctx, got.err)
		// One line reports that all of them were cancelled; in JSON, each has its object.
		if f.JSON() || code != exitcode.Cancelled || failed != exitcode.Cancelled {
			a.printError(ctx, stderr, f.JSON(), names[i], got.err)
		}
		if failed == 0 {
			failed = code
		}
	}
	if failed != 0 {
		return nil, &printedError{failed}
	}
	return images, nil
}

// result is the outcome for one name.
type result struct {
	image pinion.Image
	err   error
}

// inParallel starts all calls and returns a channel for each result.
func inParallel(
	ctx context.Context, o Orchestrator, names []string, opts []pinion.EnsureOption,
) []<-chan result {
	results := make([]<-chan result, len(names))
	for i, name := range names {
		c := make(chan result, 1)
		results[i] = c
		go func() {
			img, err := o.Ensure(ctx, name, opts...)
			c <- result{img, err}
		}()
	}
	return results
}

// printImage prints one result.
func printImage(w io.Writer, f *flags.Ensure, img pinion.Image) error {
	switch {
	case f.JSON():
		return output.JSON(w, img)
	case f.Quiet:
		_, err := fmt.Fprintln(w, img.ID)
		return err
	}
	_, err := fmt.Fprintln(w, img.Reference)
	return err
}

// warn logs the warnings of a result.
func warn(log *slog.Logger, img pinion.Image) {
	for _, w := range img.Warnings {
		log.Warn(img.Name + ": " + w)
	}
	if !img.SupersededBy.IsZero() {
		log.Warn(fmt.Sprintf("%s: the branch has moved to %s; run the command again to build that",
			img.Name, img.SupersededBy.Short()))
	}
}
