package cli

import (
	"context"

	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/telemetry"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
)

// verbSaveCache is the verb of the process that saves a build cache.
const verbSaveCache = "save-cache"

func (a *app) saveCacheCommand() *cobra.Command {
	return &cobra.Command{
		Use:     verbSaveCache + " KEY",
		Short:   "Save a build cache, as pinion ensure leaves it to a process of its own",
		Example: "  pinion " + verbSaveCache + " KEY",
		Hidden:  true,
		Args:    flags.Positional(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			s, err := a.open(flags.Display{})
			if err != nil {
				return err
			}
			defer func() { _ = s.Close(ctx) }()
			defer a.record(ctx, s, verbSaveCache)()
			return s.SaveCache(ctx, args[0])
		},
	}
}

// startSaver starts the process that saves a build cache: this program, with the same settings.
func (a *app) startSaver(ctx context.Context, key string) error {
	env := telemetry.Environ(ctx)
	for name, value := range a.docker {
		env = append(env, name+"="+value)
	}
	return a.program.Detach(append(a.global.Args(), verbSaveCache, key), env)
}
