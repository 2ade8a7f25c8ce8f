package buildkit

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path"

	"github.com/moby/buildkit/client/llb"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// readIgnore returns the patterns of the ignore file that `docker build` of a clone would use: the
// file named after the Dockerfile, or otherwise the context's .dockerignore.
func readIgnore(ctx context.Context, ref files, req Request) ([]string, error) {
	for _, name := range []string{
		req.dockerfile() + ".dockerignore", path.Join(req.Subdir, ".dockerignore"),
	} {
		st, err := find(ctx, ref, name)
		switch {
		case err != nil:
			return nil, err
		case st == nil:
			continue
		case os.FileMode(st.Mode).IsDir():
			return nil, refuse("%s is a folder", name)
		}
		dt, err := readBounded(ctx, ref, name)
		if err != nil {
			return nil, err
		}
		patterns, err := ignorefile.ReadAll(bytes.NewReader(dt))
		if err != nil {
			return nil, refuse("%s: %w", name, err)
		}
		if _, err := patternmatcher.New(patterns); err != nil {
			return nil, refuse("%s: %w", name, err)
		}
		return patterns, nil
	}
	return nil, nil
}

// dockerfileState returns a state with the inspected Dockerfile alone, under its own path. No link
// can lead the frontend to another file.
func dockerfileState(name string, dt []byte) llb.State {
	file := path.Join("/", name)
	return llb.Scratch().
		File(llb.Mkdir(path.Dir(file), 0o755, llb.WithParents(true)).Mkfile(file, 0o644, dt),
			llb.WithCustomName("take the Dockerfile"))
}

// contextState returns the build context, with its files from Git LFS.
func contextState(
	ctx context.Context, c gateway.Client, co *checkout, req Request, in *inspection,
) (llb.State, error) {
	st, err := committedState(ctx, c, co, req, in)
	if err != nil || co.lfs == nil {
		return st, err
	}
	return st.File(llb.Copy(*co.lfs, "/", "/", &llb.CopyInfo{CopyDirContentsOnly: true}),
		llb.WithCustomName("put files from Git LFS over their pointers")), nil
}

// committedState returns the build context as it was committed: the checkout, or a copy of it if
// there is a subdir or an ignore file.
func committedState(
	ctx context.Context, c gateway.Client, co *checkout, req Request, in *inspection,
) (llb.State, error) {
	if co.ready || req.Subdir == "" && len(in.ignore) == 0 {
		return co.state, nil
	}
	caps := c.BuildOpts().LLBCaps
	if len(in.ignore) == 0 || caps.Supports(pb.CapFileCopyIncludeExcludePatterns) == nil {
		return copyOf(co.state, req.Subdir, in.ignore), nil
	}
	return copyWithout(ctx, co, req.Subdir, in.ignore)
}

func copyOf(st llb.State, dir string, excludes []string) llb.State {
	name := "take " + path.Join("/", dir)
	if len(excludes) > 0 {
		name += " less .dockerignore"
	}
	return llb.Scratch().File(llb.Copy(st, path.Join("/", dir), "/", &llb.CopyInfo{
		CopyDirContentsOnly: true, ExcludePatterns: excludes,
	}), llb.WithCustomName(name))
}

// copyWithout copies the context and removes what the patterns match, file by file. It serves
// builders that cannot exclude while they copy (Docker 20.10).
func copyWithout(
	ctx context.Context, co *checkout, dir string, patterns []string,
) (llb.State, error) {
	pm, err := patternmatcher.New(patterns)
	if err != nil {
		return llb.State{}, err
	}
	w := ignoreWalk{tree: co.tree, base: dir, matcher: pm}
	if _, err := w.dir(ctx, "", patternmatcher.MatchInfo{}); err != nil {
		return llb.State{}, fmt.Errorf("apply .dockerignore: %w", err)
	}
	action := llb.Copy(co.state, path.Join("/", dir), "/", &llb.CopyInfo{CopyDirContentsOnly: true})
	for _, p := range w.remove {
		action = action.Rm(path.Join("/", p))
	}
	return llb.Scratch().File(action,
		llb.WithCustomName("take "+path.Join("/", dir)+" less .dockerignore")), nil
}

type ignoreWalk struct {
	tree    files
	base    string
	matcher *patternmatcher.PatternMatcher
	remove  []string
}

// dir walks a folder and reports whether anything in it stays.
func (w *ignoreWalk) dir(
	ctx context.Context, dir string, parent patternmatcher.MatchInfo,
) (stays bool, err error) {
	entries, err := w.tree.ReadDir(ctx, gateway.ReadDirRequest{Path: path.Join(w.base, dir, ".")})
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		p := path.Join(dir, path.Base(e.Path))
		matched, info, err := w.matcher.MatchesUsingParentResults(p, parent)
		if err != nil {
			return false, err
		}
		within := false
		if os.FileMode(e.Mode).IsDir() && (!matched || w.matcher.Exclusions()) {
			// An exception (`!`) may include something in a matched folder.
			before := len(w.remove)
			if within, err = w.dir(ctx, p, info); err != nil {
				return false, err
			}
			if matched && !within {
				w.remove = w.remove[:before] // they go with the folder
			}
		}
		if matched && !within {
			w.remove = append(w.remove, p)
		} else {
			stays = true
		}
	}
	return stays, nil
}
