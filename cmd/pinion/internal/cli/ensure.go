package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/exitcode"
)

const ensureLong = `Ensure that the image of each template's current commit is in the local image store, and print its reference.

What is there already is verified and used; what is missing is built by BuildKit from the pinned commit, or
pulled where MOLECULE_IMAGE_REGISTRY names a registry. Several templates are built side by side. One that
fails does not stop the others; the first that failed, in the order of the arguments, decides the exit code.

With --path a working tree is built in place of the commit, by the same steps, and the git server is not asked. The
tag is dev- and the digest of what the tree holds after .dockerignore; asking again for an unchanged one is a hit.

With a builder outside the Docker engine its cache is saved afterwards (--cache), so that another builder repeats
no step that did not change; the command has printed its results by then, and interrupting it does no harm.

--push also takes the images to the registry that others name in MOLECULE_IMAGE_REGISTRY, with the credentials of
docker login, and the receipt lists names and digests. :latest follows its commit, and stays where it is if the
commit was chosen by --sha.

References go to stdout, one a line, in the order of the arguments. Progress and log lines go to stderr.`

const ensureExample = `  pinion ensure claude-code
  docker run --rm $(pinion ensure claude-code)
  docker create $(pinion ensure -q hermes)
  pinion ensure claude-code hermes langgraph --format json
  pinion ensure claude-code --path ~/src/my-template
  pinion ensure claude-code --sha c4ec4b2024cf5f7c0e9d2a1b3c4d5e6f708192a3 --metadata-file build.json
  pinion ensure claude-code hermes --push --registry registry.example/team`

// ensurer is what makes images be there.
type ensurer interface {
	Ensure(ctx context.Context, name string, opts ...pinion.EnsureOption) (pinion.Image, error)
}

func (a *app) ensureCommand() *cobra.Command {
	f := &ensureFlags{}
	cmd := &cobra.Command{
		Use:               "ensure [flags] NAME...",
		Short:             "Build or find the images of templates and print their references",
		Long:              ensureLong,
		Example:           ensureExample,
		Args:              someNames,
		ValidArgsFunction: a.completeNames(0),
		RunE: func(cmd *cobra.Command, names []string) error {
			f.given(cmd.Flags())
			return a.ensure(cmd.Context(), names, f)
		},
	}
	f.register(cmd)
	return cmd
}

// ensure refuses what it can before it starts anything: bad flags, names outside the catalogue,
// files that cannot be written.
func (a *app) ensure(ctx context.Context, names []string, f *ensureFlags) (err error) {
	show, err := f.display(a.env, len(names))
	if err != nil {
		return err
	}
	if err := f.forNames(len(names)); err != nil {
		return err
	}
	opts, err := f.options()
	if err != nil {
		return err
	}
	s, err := a.open(show)
	if err != nil {
		return err
	}
	// Also what waited for the display may fail to be written.
	defer func() { err = errors.Join(err, s.term.Close()) }()
	// The result is printed and counts; who interrupts the rest has it all the same.
	defer func() { _ = s.Close(ctx) }()
	if unknown := unknownNames(s, names); len(unknown) > 0 {
		// They fail before any input or output, with the error that says what is known.
		names, opts = unknown, nil
	}
	files, err := f.prepare()
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

func unknownNames(n namer, names []string) (unknown []string) {
	known := n.Names()
	for _, name := range names {
		if !slices.Contains(known, name) {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

// ensureAll prints each result as soon as all before it are printed.
func (a *app) ensureAll(ctx context.Context, s *session, names []string, opts []pinion.EnsureOption,
	f *ensureFlags) ([]pinion.Image, error) {
	stdout, stderr := s.term.Stdout(a.program.Stdout), s.term.Stderr()
	var images []pinion.Image
	failed := 0
	for i, result := range sideBySide(ctx, s, names, opts) {
		got := <-result
		if got.err == nil {
			images = append(images, got.image)
			warn(s.log, got.image)
			if err := f.print(stdout, got.image); err != nil {
				return nil, fmt.Errorf("stdout: %w", err)
			}
			continue
		}
		code := exitCode(ctx, got.err)
		// One line says for all of them that they were cancelled; for machines each has its object.
		if f.json() || code != exitcode.Cancelled || failed != exitcode.Cancelled {
			a.tell(ctx, stderr, f.json(), names[i], got.err)
		}
		if failed == 0 {
			failed = code
		}
	}
	if failed != 0 {
		return nil, &toldError{failed}
	}
	return images, nil
}

// result is what became of one name.
type result struct {
	image pinion.Image
	err   error
}

// sideBySide starts them all and returns where each result will be.
func sideBySide(ctx context.Context, e ensurer, names []string,
	opts []pinion.EnsureOption) []<-chan result {
	results := make([]<-chan result, len(names))
	for i, name := range names {
		c := make(chan result, 1)
		results[i] = c
		go func() {
			img, err := e.Ensure(ctx, name, opts...)
			c <- result{img, err}
		}()
	}
	return results
}
