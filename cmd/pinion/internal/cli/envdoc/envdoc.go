// Package envdoc lists the environment variables that Pinion reads. `pinion --help` and the
// documentation print their tables from this list.
package envdoc

import (
	"slices"
	"strings"
)

// Variable describes one variable. Meaning and Default may hold `code` in Markdown's notation.
type Variable struct {
	Name string
	// Flag takes precedence over the variable. It is empty if there is none.
	Flag    string
	Meaning string
	Default string
}

const managedPrefix = "PINION_BUILDKIT_"

// Managed returns the variables of the managed BuildKit.
func Managed() (vars []Variable) {
	for _, v := range Variables() {
		if strings.HasPrefix(v.Name, managedPrefix) {
			vars = append(vars, v)
		}
	}
	return vars
}

// Variables returns all variables, in the order in which they are documented.
func Variables() []Variable { return slices.Clone(variables) }

var variables = []Variable{
	{"MOLECULE_IMAGE_REGISTRY", "",
		"registry prefix to pull from: `PREFIX/workspace-template-NAME:latest`, byte for " +
			"byte. If unset or empty, images are built locally; blanks are an error", ""},
	{"MOLECULE_LOCAL_TEMPLATE_REPO_PREFIX", "--repo-prefix",
		"URL prefix of the repositories. The template's name is appended as it is",
		"`https://git.moleculesai.app/molecule-ai/molecule-ai-workspace-template-`"},
	{"MOLECULE_GITEA_TOKEN", "",
		"credential for the git server in that prefix. No other server receives it", ""},
	{"MOLECULE_IMAGE_PLATFORM", "--platform",
		"`os/arch[/variant]`, or `native` for the builder's own platform. The tag of an image " +
			"for any platform but `linux/amd64` has a suffix", "`linux/amd64`"},
	{"MOLECULE_LOCAL_IMAGE_ISOLATION", "--isolation",
		"token that keeps images apart from those of other tokens, for parallel jobs on one " +
			"engine: names end in `--TOKEN`, and `ls`, `du`, `prune` and `reset` consider these " +
			"images alone", ""},
	{"MOLECULE_LOCAL_BUILD_CACHE", "--cache-dir",
		"folder for records, locks and saved build caches",
		"`molecule/workspace-template-build` in `$XDG_CACHE_HOME` or `~/.cache`"},
	{"PINION_CACHE", "--cache",
		"where build caches are saved for other builders: `local` (in the folder above), " +
			"`registry:REPOSITORY`, `off`, or `auto`, which is `local`, but `off` for the " +
			"Docker engine's own BuildKit", "`auto`"},
	{"PINION_WAIT_CACHE", "--wait-cache",
		"`1` or `true` makes `ensure` and `run` wait until the build cache is saved, where the " +
			"machine ends with the command, as in CI", "no"},
	{"PINION_CONFIG", "--config",
		"file with further templates and credentials",
		"`pinion/config.yaml` in `$XDG_CONFIG_HOME` or `~/.config`"},
	{"PINION_ALLOW_HTTP", "--allow-http",
		"`1` or `true` allows http to another machine, in a repository prefix or `--server`", "no"},
	{"PINION_STORE", "--store",
		"where images are stored: `docker`, or `oci:DIR` for a folder", "`docker`"},
	{"PINION_STALL_AFTER", "--stall-after",
		"how long a build may make no progress, with its unit; `0` means forever", "`5m`"},
	{"PINION_TIMEOUT", "--timeout",
		"how long a build may take, with its unit; `0` means forever. A template's `timeout` " +
			"in the config file takes precedence", "no limit"},
	{"MOLECULE_BUILD_STALL_GRACE_S, MOLECULE_BUILD_CEILING_S", "",
		"the platform's names for the two above, in seconds. Pinion's own take precedence", ""},
	{"BUILDKIT_HOST", "--addr",
		"address of a standalone buildkitd: `unix://`, `tcp://`, `docker-container://` or " +
			"`ssh://`", "the builder named by `BUILDX_BUILDER`"},
	{"BUILDX_BUILDER", "--builder",
		"name of a docker buildx builder; the flag also takes `managed`",
		"the builder selected in buildx, otherwise the Docker engine's own BuildKit"},
	{"BUILDX_CONFIG", "", "buildx's configuration folder",
		"`buildx` in Docker's configuration folder"},
	{"BUILDKIT_PROGRESS", "--progress",
		"how builds report progress: `auto`, `plain`, `tty`, `quiet` or `rawjson`", "`auto`"},
	{managedPrefix + "IDLE", "--builder-idle",
		"how long the managed BuildKit stays without work; `0` means forever", "`15m`"},
	{managedPrefix + "KEEP_STORAGE", "--builder-keep-storage",
		"size of the build cache that the managed BuildKit's garbage collection leaves",
		"`20GB`"},
	{managedPrefix + "ROOT", "", "folder for the managed BuildKit's state",
		"`/var/lib/pinion`"},
	{managedPrefix + "CONFIG", "",
		"`buildkitd.toml` from which the managed BuildKit takes its registries, and nothing " +
			"else", "`/etc/buildkit/buildkitd.toml` if it exists"},
	{"PINION_SERVE_TOKEN", "--token-file",
		"token that callers of `pinion serve` must send", ""},
	{"PINION_OPERATOR_TOKEN", "--operator-token-file",
		"token of operators, who may also cancel the builds of other callers", ""},
	{"PINION_HISTORY", "--history",
		"folder of the history that `pinion builds` shows, or `off`",
		"`pinion/history` in `$XDG_STATE_HOME` or `~/.local/state`"},
	{"PINION_HOOK_SECRET", "--hook-secret-file",
		"secret with which webhooks to `pinion serve` are signed", ""},
	{"PINION_NOTIFY_SECRET", "--notify-secret-file",
		"secret with which the notifications of `pinion serve` are signed", ""},
	{"XDG_RUNTIME_DIR", "--listen",
		"folder in which `pinion serve` creates its socket, `pinion/pinion.sock`", ""},
	{"NOTIFY_SOCKET", "",
		"systemd's socket, to which `pinion serve` reports that it is ready", ""},
	{"LISTEN_PID", "", "process to which systemd passes sockets", ""},
	{"LISTEN_FDS", "", "number of the sockets that systemd passes, for `--listen fd://`", ""},
	{"DOCKER_HOST", "--host", "Docker endpoint, as for `docker`", ""},
	{"DOCKER_CONTEXT", "--context", "Docker context, as for `docker`",
		"the context selected in Docker"},
	{"DOCKER_CONFIG", "", "Docker's configuration folder", "`~/.docker`"},
	{"DOCKER_AUTH_CONFIG", "", "registry credentials, as for `docker`", ""},
	{"DOCKER_TLS, DOCKER_TLS_VERIFY, DOCKER_CERT_PATH", "",
		"TLS to the Docker engine, as for `docker`", ""},
	{"DOCKER_API_VERSION", "", "version of the engine's API, as for `docker`", "negotiated"},
	{"HTTPS_PROXY, HTTP_PROXY, NO_PROXY", "",
		"proxies for Pinion's own requests; a builder has its own settings", ""},
	{"OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL", "",
		"collector to which traces are sent, and `http/protobuf` or `grpc`. OpenTelemetry's " +
			"other variables have their usual meaning", "no traces"},
	{"TRACEPARENT, TRACESTATE", "", "trace of the caller, which a command joins", ""},
	{"NO_COLOR", "", "if set, progress has no colors", ""},
}
