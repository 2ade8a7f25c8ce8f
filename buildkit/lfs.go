package buildkit

import (
	"bytes"
	"context"
	"os"
	"path"

	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/patternmatcher"
)

// maxWarnedFolders bounds the folders in which usesLFS looks for attributes. Each takes a question
// to the builder.
const maxWarnedFolders = 200

// lookForLFS looks for Git LFS while the builder works. It sends one answer, which is no if the
// files were fetched, and for a working tree, of which every file was read.
func (s *solve) lookForLFS(
	ctx context.Context, c gateway.Client, co *checkout, in *inspection,
) <-chan bool {
	found := make(chan bool, 1)
	if s.upload != nil || s.req.LFS != nil {
		found <- false
		return found
	}
	// A builder with patterns names the folders that have attributes in them, usually none. One
	// without (Docker 20.10) names all.
	pattern := "**/" + attributes
	caps := c.BuildOpts().LLBCaps
	if caps.Supports(pb.CapFileCopyIncludeExcludePatterns) != nil {
		pattern = ""
	}
	go func() { found <- usesLFS(ctx, co.tree, s.req.Subdir, in.ignore, pattern) }()
	return found
}

// usesLFS reports whether attributes name Git LFS that apply to files of the build context. Only a
// warning depends on it, so a folder that cannot be read is left out, and so are those beyond the
// first. It descends into the folders that the builder names for the pattern.
func usesLFS(ctx context.Context, f files, subdir string, ignore []string, pattern string) bool {
	ignored, err := patternmatcher.New(ignore)
	if err != nil {
		return false
	}
	for above := subdir; above != "" && above != "."; {
		above = path.Dir(above)
		if namesLFS(ctx, f, above) {
			return true
		}
	}
	folders := []string{"."} // below the subdir
	for i := 0; i < len(folders) && i < maxWarnedFolders; i++ {
		at := path.Join(subdir, folders[i])
		if namesLFS(ctx, f, at) {
			return true
		}
		entries, err := f.ReadDir(ctx, gateway.ReadDirRequest{Path: path.Join(".", at),
			IncludePattern: pattern})
		if err != nil {
			continue
		}
		for _, e := range entries {
			name := path.Join(folders[i], path.Base(e.Path))
			if out, err := ignored.MatchesOrParentMatches(name); err == nil && !out &&
				os.FileMode(e.Mode).IsDir() {
				folders = append(folders, name)
			}
		}
	}
	return false
}

// namesLFS reports whether the attributes of a folder name Git LFS.
func namesLFS(ctx context.Context, f files, dir string) bool {
	name := path.Join(dir, attributes)
	if !has(ctx, f, name) {
		return false
	}
	dt, err := readBounded(ctx, f, name)
	return err == nil && bytes.Contains(dt, []byte("filter=lfs"))
}
