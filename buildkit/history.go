package buildkit

import (
	"maps"

	"github.com/containerd/platforms"
)

// historyAttrs say in the builder's history what the Build was, in the terms of `docker buildx
// history` (buildx, util/history.BuildName and commands/history/inspect.go). BuildKit files them
// with the record; since the Build itself has no frontend, they decide nothing. They hold no more
// than the recipe does, so that a BuildKit which writes them into the image (as build info) writes
// the same each time.
func (r Request) historyAttrs() map[string]string {
	attrs := map[string]string{"filename": r.Dockerfile, "platform": platforms.Format(r.Platform)}
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
