package flags

import (
	"time"

	units "github.com/docker/go-units"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/daemon"
)

// Managed is the value of --builder that selects the managed BuildKit.
const Managed = "managed"

// ManagedOptions returns the settings of the managed BuildKit from the flags and the environment.
func (g *Global) ManagedOptions(env Environment) (opts []daemon.Option, err error) {
	if root := env.buildkitRoot; root != "" {
		opts = append(opts, daemon.WithRoot(root))
	}
	if file := env.buildkitConfig; file != "" {
		opts = append(opts, daemon.WithConfig(file))
	}
	for _, o := range []struct {
		flag, flagValue, env, envValue string
		parse                          func(string) (daemon.Option, error)
	}{
		{"--builder-idle", g.builderIdle, envBuildKitIdle, env.buildkitIdle, parseIdle},
		{"--builder-keep-storage", g.builderKeep, envBuildKitKeep, env.buildkitKeep, parseKeep},
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
			return nil, Errorf("%s: %w", source, err)
		}
		opts = append(opts, opt)
	}
	return opts, nil
}

func parseIdle(s string) (daemon.Option, error) {
	d, err := time.ParseDuration(s)
	if err == nil && d < 0 {
		return nil, Errorf("%q is negative", s)
	}
	return daemon.WithIdle(d), err
}

func parseKeep(s string) (daemon.Option, error) {
	n, err := units.FromHumanSize(s)
	if err == nil && n <= 0 {
		return nil, Errorf("%q is not above zero", s)
	}
	return daemon.WithKeepStorage(n), err
}
