package workspaceserver

import (
	"os"
	"slices"
	"strings"
)

// LocalImagePrefix is the first part of the name of every image that is built locally. It has no
// dot, so no registry can have it.
const LocalImagePrefix = "molecule-local"

// registryEnv is the variable whose presence says that images are pulled.
const registryEnv = "MOLECULE_IMAGE_REGISTRY"

// isolationEnv is the variable whose token keeps the images of parallel jobs apart.
const isolationEnv = "MOLECULE_LOCAL_IMAGE_ISOLATION"

// defaultPlatform is the platform whose tags have no suffix.
const defaultPlatform = "linux/amd64"

// KnownRuntimes returns the names of Pinion's built-in catalogue, sorted.
func KnownRuntimes() []string {
	return []string{"autogen", "claude-code", "codex", "crewai", "deepagents", "gemini-cli",
		"hermes", "langgraph", "openclaw"}
}

// IsKnownRuntime reports whether a runtime is one of the built-in catalogue. A server's operator
// may have added others.
func IsKnownRuntime(runtime string) bool { return slices.Contains(KnownRuntimes(), runtime) }

// LocalImageTag returns the name of a runtime's image at a commit, of which the first 12 digits
// count. Without a platform it is that of linux/amd64. With MOLECULE_LOCAL_IMAGE_ISOLATION it ends
// in the token. Templates that the operator's catalogue changes have other names; [Images.Ensure]
// returns the name in any case.
func LocalImageTag(runtime, sha string, platform ...string) string {
	return repository(runtime) + ":" + sha[:min(12, len(sha))] + suffix(platform)
}

// LocalImageLatestTag returns the name of the image that was built last. It is for people.
func LocalImageLatestTag(runtime string, platform ...string) string {
	return repository(runtime) + ":latest" + suffix(platform)
}

func repository(runtime string) string {
	return LocalImagePrefix + "/workspace-template-" + runtime
}

func suffix(platform []string) (end string) {
	if len(platform) > 0 && platform[0] != "" && platform[0] != defaultPlatform {
		end = "-" + strings.ReplaceAll(platform[0], "/", "-")
	}
	if token := strings.TrimSpace(os.Getenv(isolationEnv)); token != "" {
		end += "--" + token
	}
	return end
}

// IsLocalBuildImage reports whether an image was built locally, by its name.
func IsLocalBuildImage(image string) bool {
	return strings.HasPrefix(image, LocalImagePrefix+"/")
}

// RegistryMode says where images come from.
type RegistryMode string

const (
	// RegistryModeSaaS means that images are pulled from the registry in MOLECULE_IMAGE_REGISTRY.
	RegistryModeSaaS RegistryMode = "saas"
	// RegistryModeLocal means that images are built from the templates' repositories.
	RegistryModeLocal RegistryMode = "local"
)

// RegistrySource is a mode with the first part of its images' names.
type RegistrySource struct {
	Mode   RegistryMode
	Prefix string
}

// Resolve decides the mode. It is local only if MOLECULE_IMAGE_REGISTRY is unset or empty. A value
// of blanks is a registry, although a useless one: a stray blank must not make a production server
// build.
func Resolve() RegistrySource {
	if prefix := os.Getenv(registryEnv); prefix != "" {
		return RegistrySource{RegistryModeSaaS, prefix}
	}
	return RegistrySource{RegistryModeLocal, LocalImagePrefix}
}
