package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/moby/moby/client"
	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/container"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/exitcode"
)

const runLong = `Ensure a template's image and run a container of it, as docker run does.

The container is created from the image's ID: whatever happens to the tag meanwhile, it runs the image that was
ensured. It is a container like any other; docker ps, logs, exec and rm know it. What stands behind -- takes the
place of the image's own command.

In the foreground pinion is the container's input and output until it ends, hands on signals, and exits with the
container's exit code. Where stdin and stdout are terminals the container gets one too, as with -it; else its
input is closed unless -i is given. There are no keys to detach; use --detach for that.

Like a workspace server it gives the container these variables, with the values that they have in pinion's own
environment: WORKSPACE_ID (a new one if it has none), WORKSPACE_CONFIG_PATH, MODEL_PROVIDER, TIER, PLATFORM_URL
and PARENT_ID. Those without a value are left out, and --env goes first.

Exit codes: what keeps the image from being there has the code that ensure gives it (pinion exit-codes), and a
container that the engine did not create or start has 125, as in docker run. All other codes are the container's.
A container can exit with any of these codes too; only pinion's come with a line "pinion: error:" on stderr.`

const runExample = `  pinion run claude-code
  pinion run hermes --rm -- sh -c 'echo $WORKSPACE_ID'
  pinion run hermes --detach --name ws-1 --env TIER=2
  pinion run hermes --rm --path ./my-template`

// engineOwner knows the engine that holds the images.
type engineOwner interface {
	DockerClient() (*client.Client, error)
}

func (a *app) runCommand() *cobra.Command {
	f := &runFlags{}
	cmd := &cobra.Command{
		Use:     "run [flags] NAME [-- ARG...]",
		Short:   "Ensure a template's image and run a container of it",
		Long:    runLong,
		Example: runExample,
		Args: positional(func(cmd *cobra.Command, args []string) error {
			return nameThenDash(args, cmd.ArgsLenAtDash())
		}),
		ValidArgsFunction: a.completeNames(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.given(cmd.Flags())
			return a.run(cmd.Context(), args[0], args[1:], f)
		},
	}
	f.register(cmd)
	return cmd
}

// nameThenDash keeps a forgotten -- from being taken for a second name.
func nameThenDash(args []string, dash int) error {
	names := len(args)
	if dash >= 0 {
		names = dash
	}
	switch {
	case names == 0:
		return errors.New("the name of a template is missing")
	case names > 1:
		return fmt.Errorf("one name, and then -- before what the container gets: pinion run %s "+
			"-- %s", args[0], args[1])
	}
	return nil
}

func (a *app) run(ctx context.Context, name string, args []string, f *runFlags) error {
	spec, err := f.spec(a.program)
	if err != nil {
		return err
	}
	opts, err := f.options()
	if err != nil {
		return err
	}
	show, err := f.display(a.env, 1)
	if err != nil {
		return err
	}
	s, err := a.open(show)
	if err != nil {
		return err
	}
	// What a build leaves to be saved is saved while the container runs.
	defer func() { _ = s.Close(ctx) }()
	img, api, err := s.ready(ctx, name, opts)
	if err := errors.Join(err, s.term.Close()); err != nil {
		return err
	}
	spec.Image, spec.Platform, spec.Args = img.ID, img.Platform, args
	return a.runContainer(ctx, s, api, spec)
}

// ready looks for the engine first: without one there is nothing to build for.
func (s *session) ready(ctx context.Context, name string,
	opts []pinion.EnsureOption) (pinion.Image, *client.Client, error) {
	api, err := s.DockerClient()
	if err != nil {
		return pinion.Image{}, nil, err
	}
	img, err := s.Ensure(ctx, name, opts...)
	if err == nil {
		warn(s.log, img)
	}
	return img, api, err
}

func (a *app) runContainer(ctx context.Context, s *session, api *client.Client,
	spec container.Spec) error {
	// From here on a signal is the container's; one that came before has cancelled ctx.
	signals, stop := container.Signals()
	defer stop()
	c, err := container.Create(ctx, api, spec)
	if err != nil {
		return err
	}
	for _, w := range c.Warnings {
		s.log.Warn(w)
	}
	if spec.Detached {
		if err := c.Start(ctx); err != nil {
			return err
		}
		_, err := fmt.Fprintln(a.program.Stdout, c.ID())
		return err
	}
	streams := container.Streams{In: a.program.Stdin, Out: a.program.Stdout, Err: a.program.Stderr}
	code, err := c.Run(ctx, streams, signals)
	if err == nil && code != exitcode.OK {
		return &toldError{code}
	}
	return err
}
