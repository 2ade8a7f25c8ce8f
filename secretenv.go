package pinion

import (
	"maps"
	"slices"

	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

// Environment variables with the secrets of `pinion serve`. The library reads neither; like the
// tokens they are kept from docker buildx.
const (
	EnvServeToken = "PINION_SERVE_TOKEN"
	EnvHookSecret = "PINION_HOOK_SECRET"
)

// secretVariables are the names of all variables with Pinion's own secrets, those included that the
// config file names.
func secretVariables(c *resolver.Catalogue) []string {
	return append([]string{EnvToken, EnvServeToken, EnvHookSecret},
		slices.Sorted(maps.Values(c.TokenEnvs()))...)
}
