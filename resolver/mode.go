package resolver

import (
	"slices"
	"strings"
)

// RegistryEnv is the variable whose presence says that images are pulled.
const RegistryEnv = "MOLECULE_IMAGE_REGISTRY"

// Mode is how an image comes to be: pulled or built here.
type Mode string

const (
	// ModeRegistry pulls from the registry named by RegistryEnv.
	ModeRegistry Mode = "registry"
	// ModeLocalBuild builds from the template's Git repository.
	ModeLocalBuild Mode = "local-build"
)

// RegistrySource is the decision between pulling and building.
type RegistrySource struct {
	Mode   Mode
	Prefix string // the registry's prefix, byte for byte as given; "" in local-build mode
}

// Resolve decides the mode from the environment, by a lookup like os.LookupEnv:
// registry mode when MOLECULE_IMAGE_REGISTRY is set and not blank, else
// local-build mode. There is no other signal.
func Resolve(lookup func(string) (string, bool)) RegistrySource {
	prefix, ok := lookup(RegistryEnv)
	if !ok || strings.TrimSpace(prefix) == "" {
		return RegistrySource{Mode: ModeLocalBuild}
	}
	return RegistrySource{Mode: ModeRegistry, Prefix: prefix}
}

// Reference returns what to pull for a template, and "" in local-build mode.
// The prefix isn't trimmed or checked: the registry's operator wrote it.
func (s RegistrySource) Reference(name string) string {
	if s.Mode != ModeRegistry {
		return ""
	}
	return s.Prefix + "/" + imagePrefix + name + ":latest"
}

// KnownRuntimes returns the names of the built-in catalogue, sorted.
func KnownRuntimes() []string {
	return []string{
		"autogen", "claude-code", "codex", "crewai", "deepagents",
		"gemini-cli", "hermes", "langgraph", "openclaw",
	}
}

// IsKnownRuntime reports whether name is exactly one of KnownRuntimes.
func IsKnownRuntime(name string) bool {
	return slices.Contains(KnownRuntimes(), name)
}
