package cli

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion"
)

const bakeLong = `Print a definition of the templates' images, pinned to their current commits, that docker buildx bake takes as it is.

What is baked has the names, labels and layers of what pinion ensure builds on the same builder, and so the same
image ID. Pinion believes no image that it has not built, so the next pinion ensure builds once more, out of the
builder's cache, and says "adopted" if it came to the same image.

The git server is asked, and nobody else. A private repository is refused: bake would show its credential to every
RUN in the Dockerfile. Bake applies no .dockerignore to a git repository and fetches submodules; where a repository
has either, use pinion ensure, whose image differs then.`

const bakeExample = `  pinion bake claude-code | docker buildx bake -f -
  pinion bake claude-code hermes | docker buildx bake -f - --print`

// baker describes builds for buildx.
type baker interface {
	Bake(ctx context.Context, names ...string) (pinion.BakeFile, error)
}

func (a *app) bakeCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "bake [flags] NAME...",
		Short:             "Print a definition for docker buildx bake",
		Long:              bakeLong,
		Example:           bakeExample,
		Args:              someNames,
		ValidArgsFunction: a.completeNames(0),
		RunE: func(cmd *cobra.Command, names []string) error {
			s, err := a.open(display{})
			if err != nil {
				return err
			}
			file, err := s.Bake(cmd.Context(), names...)
			if err != nil {
				return err
			}
			var compact, text bytes.Buffer
			if err := writeJSON(&compact, file); err != nil {
				return err
			}
			if err := json.Indent(&text, compact.Bytes(), "", "  "); err != nil {
				return err
			}
			_, err = text.WriteTo(a.program.Stdout)
			return err
		},
	}
}
