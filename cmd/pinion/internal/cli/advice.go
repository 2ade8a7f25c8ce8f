package cli

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/exitcode"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
)

// advice maps what is wrong to what to run or to set. "{}" stands for the situation's detail.
var advice = map[errdef.Situation]string{
	errdef.EngineUnreachable: "start the Docker engine, check that you may use its socket, " +
		"choose another with --host, --context or DOCKER_HOST, or build without one into a " +
		"folder with --store oci:DIR",
	errdef.EngineSlow: "restart the Docker engine at {}, or choose another with --host, " +
		"--context or DOCKER_HOST",
	errdef.EngineFiltered: "allow {} in the program before the engine (of docker-socket-proxy, " +
		"the variables named after the first part of the path, and POST), or reach the engine " +
		"itself with --host, --context or DOCKER_HOST",
	errdef.NotAnEngine: "give the address of a Docker engine with --host, --context or " +
		"DOCKER_HOST",
	errdef.EngineWithoutBuildKit: "name a builder with --addr or --builder, or use Docker from " +
		"20.10 (Podman has no BuildKit)",
	errdef.WindowsContainers: "switch the engine to Linux containers (in the menu of Docker " +
		"Desktop), or choose another with --host, --context or DOCKER_HOST",
	errdef.APIVersionFixed: "unset DOCKER_API_VERSION, so that the version is agreed on",
	errdef.TooManyLayers: `join instructions of the Dockerfile, set "features": ` +
		`{"containerd-snapshotter": true} in the engine's daemon.json, or keep images in a ` +
		"folder with --store oci:DIR",
	errdef.ContextUnknown:         "see `docker context ls`",
	errdef.DockerConfigBroken:     "repair or remove the file",
	errdef.TLSFilesMissing:        "set DOCKER_CERT_PATH to the folder of the files",
	errdef.CredentialHelperFailed: "repair the helper, or run `docker login {}`",
	errdef.RegistryUnauthorized:   "run `docker login {}` with an account that has access",
	errdef.RegistryBlank: "unset MOLECULE_IMAGE_REGISTRY to build locally, or set it to a " +
		"registry's prefix, such as registry.example/team",
	errdef.RegistryImageMissing: "check the name and the tag of {}",
	errdef.RegistryUnreachable: "check the network and proxy of the engine, or with " +
		"--store oci:DIR of this machine",
	errdef.RegistryTagFixed: "let tags be overwritten at {}, delete the tag there, or push a " +
		"commit that is not there",
	errdef.RegistryBodyLimit: "raise the limit of the proxy before {} to 1 MB or more",
	errdef.TransferStalled: "check the network between the image store and the registry, or " +
		"allow more time with --stall-after",
	errdef.PullNeedsEngine: "leave out --store, or unset MOLECULE_IMAGE_REGISTRY to build",
	errdef.DiskFull:        "make room on the disk of {}, for example by `pinion prune`",
	errdef.FolderReadOnly:  "make {} writable, or name another folder with --store",
	errdef.FolderForeign:   "name another folder",
	errdef.LayoutBroken:    "repair or remove {}",

	errdef.BuilderDown: "start the buildkitd that --addr or BUILDKIT_HOST names, and ask again",
	errdef.ManagedBuilderDown: "ask again, which starts another one; `pinion builder status` and " +
		"`pinion builder logs` show what happened",
	errdef.BuildxBuilderDown: "start it with `docker buildx inspect --bootstrap {}` and ask " +
		"again, or choose another with `docker buildx use` or --builder",
	errdef.BuildxFileBroken: "`docker buildx use` and `docker buildx rm` write it anew",
	errdef.BuilderTooOld:    "update the builder, or choose another with --addr or --builder",
	errdef.PlatformUnsupported: "install emulation on the builder's machine (`docker run " +
		"--privileged --rm tonistiigi/binfmt --install {}`, or the packages qemu-user-static and " +
		"binfmt-support) and restart the builder, or set MOLECULE_IMAGE_PLATFORM=native",
	errdef.BasePlatform: "name a base image that has the platform, choose the platform of the " +
		"base with --platform or MOLECULE_IMAGE_PLATFORM, or set allow_base_platform: true for " +
		"the template in the config file",
	errdef.PlatformEmulated: "--platform native sets it", // the text names the variable

	errdef.SourceUnavailable: "run the command again later; if the error stays, check the " +
		"builder's network, proxy and registry mirrors",
	errdef.BuilderExhausted: "give the builder {} more room: `docker builder prune`, `docker " +
		"buildx prune` or `pinion builder prune` frees disk, and a higher limit frees memory",

	errdef.NoWorkingTree:     "give the root of the template's repository",
	errdef.TreeUnreadable:    "make it readable, or name it in .dockerignore",
	errdef.TreeChanged:       "ask again when nothing writes to the working tree",
	errdef.DockerfileMissing: "add one, or name another under dockerfile in the catalogue",
	errdef.FrontendNotAllowed: "use docker/dockerfile, " +
		"or let the operator add this one under frontends in the config file",

	errdef.BuildStalled: "see what the step waits for, " +
		"or allow silent steps more time with --stall-after",
	errdef.TimeLimit: "ask again, since the steps that are done are in the build cache; " +
		"or allow more time with --timeout, or timeout in the catalogue",
	errdef.DeliveryStalled: "look at the image store and at the connection to the builder",
	errdef.AttestationUnreadable: "build again, use BuildKit 0.32 or later, " +
		"or leave out --attest",
	errdef.SBOMRequested: "scan the finished image, for example with `docker scout sbom` or syft",

	errdef.PlainHTTPPrefix: "use https, or allow http with --allow-http or PINION_ALLOW_HTTP=1",
	errdef.CacheFolderWritable: "run `chmod 700 {}`, " +
		"or choose another folder with --cache-dir or MOLECULE_LOCAL_BUILD_CACHE",
	errdef.CacheFolderUnsuitable: "choose another folder " +
		"with --cache-dir or MOLECULE_LOCAL_BUILD_CACHE",
	errdef.CommitOffBranch: "choose a commit of the branch, or allow any with --allow-any-sha",
	errdef.ConfigMissing:   "create the file, or correct its name in --config or PINION_CONFIG",
	errdef.SubmoduleNotAllowed: "add {}, or a path there, to submodules of the template in the " +
		"config file, if its content may be in the image",
	errdef.LFSHostNotAllowed: "add {} to lfs_hosts of the template in the config file, if this " +
		"machine may download from there",
	errdef.GitDirWanted: "the build context has no .git: set keep_git_dir: true for the template " +
		"in the config file. A working tree never has it",
	errdef.GivenMissing: "load it, `docker pull` it if it has a name, or correct image in the " +
		"config file",
	errdef.BuilderUnknown: "see `docker buildx ls` and correct --builder or BUILDX_BUILDER; " +
		"if {} is a Docker context, name it with --context",
	errdef.BuildxMissing: "install docker buildx, " +
		"or name another builder with --builder or --addr",
	errdef.ManagedMissing: "name a builder with --addr or --builder, or use a Docker engine",
	errdef.EngineNeeded:   "use a Docker engine with --store docker",
	errdef.IndexNeeded: `set "features": {"containerd-snapshotter": true} in the engine's ` +
		"daemon.json, or keep images in a folder with --store oci:DIR",
	errdef.Leftovers:   "`pinion reset --legacy` shows and removes them",
	errdef.BakePrivate: "run `pinion ensure {}`, which shows the credential to the fetch alone",
}

// adviceByCode is the advice for errors that are in no situation of the table above.
var adviceByCode = map[int]string{
	exitcode.Unreachable: runDoctor,
	exitcode.NoBuilder:   runDoctor,
	exitcode.Store:       runDoctor,
	exitcode.Verification: "run the command again; if the error stays, run `pinion ensure NAME " +
		"--no-cache`",
	exitcode.Lock: "another pinion builds the same image; run the command again when it is done",
	exitcode.Build: "the template's Dockerfile failed or was refused; --progress plain shows its " +
		"whole output",
}

const runDoctor = "run `pinion doctor` to see what works and what does not"

// alsoDoctor is runDoctor behind the advice for a situation.
const alsoDoctor = "; `pinion doctor` shows what works and what does not"

// adviceFor returns what to do about err, which ends the command with an exit code, or "" if the
// tables have nothing for it.
func adviceFor(code int, err error) string {
	if next := situationAdvice(err); next != "" {
		if adviceByCode[code] == runDoctor {
			next += alsoDoctor
		}
		return next
	}
	if wrong, ok := errors.AsType[*flags.Error](err); ok {
		return "run `" + wrong.Path + " --help` to see its arguments and flags"
	}
	return adviceByCode[code]
}

// situationAdvice returns what to do in the situation of err, or "" if it is in none.
func situationAdvice(err error) string {
	situation, detail := errdef.SituationOf(err)
	return strings.ReplaceAll(advice[situation], "{}", detail)
}

// adviser is a log handler that adds advice to the lines that name a situation.
type adviser struct{ slog.Handler }

// Handle implements slog.Handler.
func (h adviser) Handle(ctx context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if s, ok := a.Value.Any().(errdef.Situation); ok && advice[s] != "" {
			r.Message += ": " + advice[s]
		}
		return true
	})
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h adviser) WithAttrs(attrs []slog.Attr) slog.Handler {
	return adviser{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h adviser) WithGroup(name string) slog.Handler { return adviser{h.Handler.WithGroup(name)} }
