package flags

import (
	"cmp"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/internal/xdg"
)

// envProgress is BuildKit's own variable for the progress mode.
const envProgress = "BUILDKIT_PROGRESS"

// Settings of the managed BuildKit.
const (
	envBuildKitIdle   = "PINION_BUILDKIT_IDLE"
	envBuildKitKeep   = "PINION_BUILDKIT_KEEP_STORAGE"
	envBuildKitRoot   = "PINION_BUILDKIT_ROOT"
	envBuildKitConfig = "PINION_BUILDKIT_CONFIG"
)

// envRuntimeDir names the folder of a server's socket.
const envRuntimeDir = "XDG_RUNTIME_DIR"

// envWaitCache is the variable of --wait-cache.
const envWaitCache = "PINION_WAIT_CACHE"

// Where the history of builds is.
const (
	envHistory = "PINION_HISTORY"
	HistoryOff = "off"
)

// envNotifySocket names the socket of a service manager, by sd_notify(3).
const envNotifySocket = "NOTIFY_SOCKET"

// By these a service manager passes sockets, by sd_listen_fds(3).
const (
	envListenPID = "LISTEN_PID"
	envListenFDs = "LISTEN_FDS"
)

// Environment holds the variables that the command line reads itself. pinion.OptionsFromEnv reads
// the others. Package envdoc describes all of them.
type Environment struct {
	ServeToken, HookSecret, NotifySecret, RuntimeDir string
	// NotifySocket is the socket of a service manager.
	NotifySocket string
	// ListenPID is the process to which it passes sockets, and ListenFDs their number.
	ListenPID, ListenFDs string
	// OperatorToken is that of a server's operators.
	OperatorToken string
	// History is the folder of the history, HistoryOff, or "" without a home folder.
	History string
	// Token is kept out of everything that is printed before there is an orchestrator.
	Token string

	waitCache                                                string
	progress                                                 string
	builder                                                  string
	buildkitIdle, buildkitKeep, buildkitRoot, buildkitConfig string
}

// ReadEnvironment reads the variables. A blank variable counts as unset.
func ReadEnvironment(lookup func(string) (string, bool)) Environment {
	get := func(name string) string {
		v, _ := lookup(name)
		if strings.TrimSpace(v) == "" {
			return ""
		}
		return v
	}
	return Environment{
		waitCache: get(envWaitCache),
		progress:  get(envProgress), builder: get(pinion.EnvBuilder), Token: get(pinion.EnvToken),
		buildkitIdle: get(envBuildKitIdle), buildkitKeep: get(envBuildKitKeep),
		buildkitRoot: get(envBuildKitRoot), buildkitConfig: get(envBuildKitConfig),
		ServeToken: get(pinion.EnvServeToken), HookSecret: get(pinion.EnvHookSecret),
		NotifySecret: get(pinion.EnvNotifySecret),
		RuntimeDir:   get(envRuntimeDir), NotifySocket: get(envNotifySocket),
		ListenPID: get(envListenPID), ListenFDs: get(envListenFDs),
		OperatorToken: get(pinion.EnvOperatorToken),
		History:       cmp.Or(get(envHistory), xdg.StateDir(lookup, "pinion", "history")),
	}
}
