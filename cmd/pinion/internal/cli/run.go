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
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
)

const runLong = `Ensure a template's image and run a container of it, as docker run does.

The container is created from the image's ID and therefore runs the ensured image even if its tag
moves. docker ps, logs, exec and rm work with the container as with any other. Arguments after --
replace the image's own command.

In the foreground, pinion connects the container's input and output until it ends, forwards signals,
and exits with the container's exit code. If stdin and stdout are terminals, the container has one
too, as with -it; otherwise its input is closed unless -i is set. There are no keys to detach; use
--detach instead.

The flags of docker run that describe the container have docker's names and meanings; others are in
"docker create", which takes the image from "pinion ensure -q". They have nothing to do with how the
image is built.

Like a workspace server, pinion passes these variables of its own environment to the container:
WORKSPACE_ID (a new one if it is unset), WORKSPACE_CONFIG_PATH, MODEL_PROVIDER, TIER, PLATFORM_URL,
MOLECULE_URL (otherwise the value of PLATFORM_URL) and PARENT_ID. Unset ones are omitted. It also
sets what the runtime needs: WORKSPACE_CONFIG_PATH=/configs, PLUGINS_DIR=/plugins and
PYTHONPATH=/app. --env and --env-file take precedence over all of these.

With --workspace, the container is one of a workspace, as far as no other flag says otherwise: named
ws-ID, with the volumes ws-ID-configs at /configs and ws-ID-workspace at /workspace, port 8000 at a
free port of 127.0.0.1 ("docker port" shows it), labels with ID and template, the restart policy
unless-stopped (not with --rm), and a log of at most 3 files of 10 MB. ID is WORKSPACE_ID.

Exit codes: if there is no image, that of ensure (see pinion exit-codes); if the engine does not
create or start the container, 125, as for docker run; otherwise that of the container. A container
can exit with any of these codes too. Only Pinion's own failures print a line "pinion: error:" on
stderr.`

const runExample = `  pinion run claude-code
  pinion run hermes --rm -- sh -c 'echo $WORKSPACE_ID'
  pinion run hermes --detach --name ws-1 --env TIER=2
  pinion run hermes --detach --workspace --network molecule-core-net --memory 2g
  pinion run hermes --rm --entrypoint sh -v ./src:/src -w /src -- -c ls
  pinion run hermes --rm --path ./my-template`

func (a *app) runCommand() *cobra.Command {
	f := &runFlags{}
	cmd := &cobra.Command{
		Use:     "run [flags] NAME [-- ARG...]",
		Short:   "Ensure a template's image and run a container of it",
		Long:    runLong,
		Example: runExample,
		Args: flags.Positional(func(cmd *cobra.Command, args []string) error {
			return nameThenDash(args, cmd.ArgsLenAtDash())
		}),
		ValidArgsFunction: a.completeNames(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.NoteSet(cmd.Flags())
			return a.run(cmd.Context(), args[0], args[1:], f)
		},
	}
	f.register(cmd)
	return cmd
}

// nameThenDash rejects a second name, which may be an argument after a forgotten --.
func nameThenDash(args []string, dash int) error {
	names := len(args)
	if dash >= 0 {
		names = dash
	}
	switch {
	case names == 0:
		return errors.New("the name of a template is missing")
	case names > 1:
		return fmt.Errorf("only one name is allowed; put -- before the container's arguments: "+
			"pinion run %s -- %s", args[0], args[1])
	}
	return nil
}

func (a *app) run(ctx context.Context, name string, args []string, f *runFlags) error {
	spec, err := f.spec(a.program, name)
	if err != nil {
		return err
	}
	opts, err := f.Options()
	if err != nil {
		return err
	}
	show, err := f.Display(a.env, 1)
	if err != nil {
		return err
	}
	a.leavesCache = !f.WaitsForCache(a.env)
	s, err := a.open(show)
	if err != nil {
		return err
	}
	// What this process saves, it saves while the container runs.
	defer func() { _ = s.Close(ctx) }()
	defer a.record(ctx, s, "run")()
	img, api, err := s.ready(ctx, name, opts)
	if err := errors.Join(err, s.term.Close()); err != nil {
		return err
	}
	spec.Image, spec.Platform, spec.Args = img.ID, img.Platform, args
	return a.runContainer(ctx, s, api, spec)
}

// ready looks for the engine first, because an image is useless without one.
func (s *session) ready(
	ctx context.Context, name string, opts []pinion.EnsureOption,
) (pinion.Image, *client.Client, error) {
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

func (a *app) runContainer(
	ctx context.Context, s *session, api *client.Client, spec container.Spec,
) error {
	// From here on, signals are forwarded to the container. An earlier one has cancelled ctx.
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
		return &printedError{code}
	}
	return err
}
