package cli

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/output"
)

const bakeLong = `Print a definition of the templates' images, pinned to their current commits, for
docker buildx bake.

On the same builder, bake produces the names, labels and layers of pinion ensure, and so the same
image ID. Pinion trusts only images that it built itself. The next pinion ensure therefore builds
once more, from the builder's cache, and reports "adopted" if the result is the same image.

Only the git server is asked. A private repository is refused, because bake would expose its
credential to every RUN in the Dockerfile. Bake applies no .dockerignore to a git repository and
fetches submodules; the image of a repository with either differs from that of pinion ensure. It
cannot fetch files in Git LFS: a template with lfs is refused.`

const bakeExample = `  pinion bake claude-code | docker buildx bake -f -
  pinion bake claude-code hermes | docker buildx bake -f - --print`

func (a *app) bakeCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "bake [flags] NAME...",
		Short:             "Print a definition for docker buildx bake",
		Long:              bakeLong,
		Example:           bakeExample,
		Args:              flags.SomeNames,
		ValidArgsFunction: a.completeNames(0),
		RunE: func(cmd *cobra.Command, names []string) error {
			return a.bake(cmd.Context(), names)
		},
	}
}

func (a *app) bake(ctx context.Context, names []string) error {
	s, err := a.open(flags.Display{})
	if err != nil {
		return err
	}
	file, err := s.Bake(ctx, names...)
	if err != nil {
		return err
	}
	var compact, text bytes.Buffer
	if err := output.JSON(&compact, file); err != nil {
		return err
	}
	if err := json.Indent(&text, compact.Bytes(), "", "  "); err != nil {
		return err
	}
	_, err = text.WriteTo(a.program.Stdout)
	return err
}
