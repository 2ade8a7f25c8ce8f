package buildkit

import (
	"maps"

	"github.com/containerd/platforms"
)

// historyAttrs returns the attributes that describe the Build in the builder's history, in the
// terms of `docker buildx history` (buildx, util/history.BuildName and
// commands/history/inspect.go). They change nothing else, since the Build itself has no frontend.
// Some versions of BuildKit write them into the image as build info; so that they are the same each
// time, they depend on the recipe, and on where the server has the repository, alone.
func (r Request) historyAttrs() map[string]string {
	attrs := map[string]string{"filename": r.filename(), "platform": platforms.Format(r.Platform)}
	if r.Tree == nil {
		attrs["context"] = r.Remote.GitURL() + "#" + r.Revision.String()
		if r.Subdir != "" {
			attrs["context"] += ":" + r.Subdir
		}
	}
	maps.Copy(attrs, r.Provenance.attrs())
	if r.Target != "" {
		attrs["target"] = r.Target
	}
	if r.Name != "" {
		attrs["build-arg:BUILDKIT_BUILD_NAME"] = r.Name
	}
	return attrs
}
