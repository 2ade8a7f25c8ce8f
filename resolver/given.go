package resolver

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
)

// checkGiven returns an error unless image identifies one image for good: by its ID, or by a
// reference with a digest.
func checkGiven(image string) error {
	if _, err := digest.Parse(image); err == nil {
		return nil
	}
	if named, err := reference.ParseNormalizedNamed(image); err == nil {
		if _, ok := named.(reference.Digested); ok {
			return nil
		}
	}
	return fmt.Errorf("%w: image %s: give an image by its ID, sha256:<64 digits>, or by a "+
		"reference with a digest, name@sha256:<64 digits>; a tag moves. The name of an image that "+
		"is built has neither a tag nor a digest", ErrInvalidInput, quote(image))
}

// isGiven reports whether the value of the key image means an image that exists, and not the name
// of one that is built.
func isGiven(image string) bool { return strings.ContainsAny(image, ":@") }

// setGiven makes t a template that nothing is built for. The keys of a build are refused, since
// they would have no effect.
func (e templateConfig) setGiven(t *Template) error {
	unused := map[string]bool{
		"repo": e.Repo != "", "branch": e.Branch != "", "tag": e.Tag != "",
		"revision": e.Revision != "", "subdir": e.Subdir != "", "dockerfile": e.Dockerfile != "",
		"root_dockerfile": e.RootDockerfile != "", "keep_git_dir": e.KeepGitDir != nil,
		"submodules": len(e.Submodules) > 0, "lfs": e.LFS != nil, "lfs_hosts": len(e.LFSHosts) > 0,
		"target": e.Target != "", "timeout": e.Timeout != 0, "args": len(e.Args) > 0,
		"allow_insecure_http": e.AllowInsecureHTTP,
		"allow_base_platform": e.AllowBasePlatform != nil, keyPullRequests: e.PullRequests != nil,
	}
	for _, key := range slices.Sorted(maps.Keys(unused)) {
		if unused[key] {
			return inKey(fmt.Errorf("%w: the entry gives an image, so nothing is built: remove %s "+
				"or image", ErrInvalidInput, key), key)
		}
	}
	*t = Template{Name: e.Name, Given: e.Image, Platform: e.Platform}
	return nil
}
