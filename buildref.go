package pinion

import (
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
)

// buildRef is the build in buildx's terms: builder, node and the reference in the builder's
// history. It is empty where buildx knows no such builder, or where it picked the node itself and
// did not say which.
func (s settings) buildRef(by buildkit.Info, ref string) string {
	switch by.Kind {
	case buildkit.KindBuildx:
		if strings.Contains(by.Endpoint, "/") {
			return by.Endpoint + "/" + ref
		}
	case buildkit.KindDocker:
		// buildx calls the engine's own BuildKit and its one node by the Docker context.
		if name, _, err := s.engineConfig().CurrentContext(); err == nil {
			return name + "/" + name + "/" + ref
		}
	}
	return ""
}
