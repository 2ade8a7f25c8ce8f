package pinion

import (
	"context"
	"errors"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/buildkit/buildx"
)

// checkBuildx looks at the buildx plugin, if there is one. Without it nothing is missing: a builder
// that is reached through it says so itself.
func (o *Orchestrator) checkBuildx(ctx context.Context) []Check {
	plugin, err := o.settings.buildxPlugin()
	if errors.Is(err, buildx.ErrNoPlugin) {
		return nil
	}
	version := ""
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		version, err = plugin.Version(ctx)
	}
	if err != nil {
		return []Check{warn("buildx", "%v", err)}
	}
	if advice := buildkit.FloorBuildx(version); advice != "" {
		return []Check{warn("buildx", "%s: %s", version, advice)}
	}
	return []Check{ok("buildx", "%s", version)}
}
