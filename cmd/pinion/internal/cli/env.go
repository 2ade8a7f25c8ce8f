package cli

import (
	"strings"

	"git.moleculesai.app/molecule-ai/pinion"
)

// envProgress is BuildKit's own variable for the progress mode.
const envProgress = "BUILDKIT_PROGRESS"

// What the managed BuildKit is started with.
const (
	envBuildKitIdle   = "PINION_BUILDKIT_IDLE"
	envBuildKitKeep   = "PINION_BUILDKIT_KEEP_STORAGE"
	envBuildKitRoot   = "PINION_BUILDKIT_ROOT"
	envBuildKitConfig = "PINION_BUILDKIT_CONFIG"
)

// envRuntimeDir is where a server's socket lies by default.
const envRuntimeDir = "XDG_RUNTIME_DIR"

// environment is what the command line takes from the environment besides what
// pinion.OptionsFromEnv does.
type environment struct {
	progress                                                 string
	builder                                                  string
	buildkitIdle, buildkitKeep, buildkitRoot, buildkitConfig string

	serveToken, hookSecret, runtimeDir string

	token string // to keep it out of what is printed before there is an orchestrator
}

// readEnvironment is the only place here that reads variables.
func readEnvironment(lookup func(string) (string, bool)) environment {
	get := func(name string) string {
		v, _ := lookup(name)
		if strings.TrimSpace(v) == "" {
			return ""
		}
		return v
	}
	return environment{
		progress: get(envProgress), builder: get(pinion.EnvBuilder), token: get(pinion.EnvToken),
		buildkitIdle: get(envBuildKitIdle), buildkitKeep: get(envBuildKitKeep),
		buildkitRoot: get(envBuildKitRoot), buildkitConfig: get(envBuildKitConfig),
		serveToken: get(pinion.EnvServeToken), hookSecret: get(pinion.EnvHookSecret),
		runtimeDir: get(envRuntimeDir),
	}
}
