package cli

import (
	"context"
	"io"
	"time"

	units "github.com/docker/go-units"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/buildversion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/daemon"
)

// builderManaged is the value of --builder that names no builder of buildx.
const builderManaged = "managed"

// managed is all that the verbs need of a daemon.Manager.
type managed interface {
	Ensure(ctx context.Context) (addr string, err error)
	Status(ctx context.Context) (daemon.Status, error)
	Stop(ctx context.Context, grace time.Duration) (bool, error)
	Logs(ctx context.Context, w io.Writer, lines int, follow bool) error
	Prune(ctx context.Context, what daemon.Prune) (int64, error)
}

// managedBuilder makes the manager that flags and environment describe. Flags come first.
func (a *app) managedBuilder(notice func(string)) (managed, error) {
	opts := []daemon.Option{daemon.WithNotice(notice)}
	if root := a.env.buildkitRoot; root != "" {
		opts = append(opts, daemon.WithRoot(root))
	}
	if file := a.env.buildkitConfig; file != "" {
		opts = append(opts, daemon.WithConfig(file))
	}
	for _, o := range []struct {
		flag, flagValue, env, envValue string
		parse                          func(string) (daemon.Option, error)
	}{
		{"--builder-idle", a.global.builderIdle, envBuildKitIdle, a.env.buildkitIdle, parseIdle},
		{"--builder-keep-storage", a.global.builderKeep, envBuildKitKeep, a.env.buildkitKeep,
			parseKeep},
	} {
		source, value := o.flag, o.flagValue
		if value == "" {
			source, value = o.env, o.envValue
		}
		if value == "" {
			continue
		}
		opt, err := o.parse(value)
		if err != nil {
			return nil, usage("%s: %w", source, err)
		}
		opts = append(opts, opt)
	}
	return a.program.Managed(buildversion.Of(a.program.Version), opts...), nil
}

func parseIdle(s string) (daemon.Option, error) {
	d, err := time.ParseDuration(s)
	if err == nil && d < 0 {
		return nil, usage("%q is negative", s)
	}
	return daemon.WithIdle(d), err
}

func parseKeep(s string) (daemon.Option, error) {
	n, err := units.FromHumanSize(s)
	if err == nil && n <= 0 {
		return nil, usage("%q is not more than nothing", s)
	}
	return daemon.WithKeepStorage(n), err
}
