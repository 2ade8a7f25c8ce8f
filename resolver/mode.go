package resolver

import (
	"fmt"
	"slices"
	"strings"

	"github.com/distribution/reference"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
)

// LocalPrefix is the first part of the name of an image that is built here.
const LocalPrefix = "molecule-local"

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
	Prefix string // the registry's prefix, byte for byte as given; LocalPrefix in local-build mode
}

// Resolve decides the mode from the environment, by a lookup like os.LookupEnv:
// registry mode when MOLECULE_IMAGE_REGISTRY is set and not empty, else
// local-build mode. There is no other signal. A value of blanks is registry mode too,
// so that a stray blank never starts a build; Check refuses it.
func Resolve(lookup func(string) (string, bool)) RegistrySource {
	prefix, ok := lookup(RegistryEnv)
	if !ok || prefix == "" {
		return RegistrySource{Mode: ModeLocalBuild, Prefix: LocalPrefix}
	}
	return RegistrySource{Mode: ModeRegistry, Prefix: prefix}
}

// Check returns an error of kind ErrInvalidInput if the registry's prefix is blank.
func (s RegistrySource) Check() error {
	if s.Mode == ModeRegistry && strings.TrimSpace(s.Prefix) == "" {
		return errdef.In(errdef.RegistryBlank, "", fmt.Errorf("%w: %s is set to %q: a value of "+
			"blanks names no registry, and does not count as unset", ErrInvalidInput, RegistryEnv,
			s.Prefix))
	}
	return nil
}

// movingTags are the tags that publishers move to newer images.
var movingTags = []string{
	"latest", "staging", "main", "dev", "edge", "nightly", "rolling",
}

// IsMoving reports whether an image reference may name a newer image at any time: it has neither a
// digest nor a tag, or a tag such as latest.
func IsMoving(ref string) bool {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return false
	}
	if _, ok := named.(reference.Digested); ok {
		return false
	}
	tagged, ok := named.(reference.Tagged)
	return !ok || slices.Contains(movingTags, tagged.Tag())
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
