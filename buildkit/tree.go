package buildkit

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/opencontainers/go-digest"
)

// Tree is a template's working tree as it was when [ReadTree] read it: what was found in it, and
// what of it goes into the build context. Whatever changes on the disk afterwards never gets into
// an image under this Tree's digest.
type Tree struct {
	// context is the folder of the build context on this machine.
	context    string
	inspection *inspection
	entries    []entry
	digest     digest.Digest
}

// entry is a file, folder or link of the context.
type entry struct {
	path string // below the context, with slashes
	mode fs.FileMode
	size int64
	// modTime goes to the builder, as everywhere, and not into the digest.
	modTime time.Time
	link    string        // a symbolic link's target
	sum     digest.Digest // of a file's content
}

// TreeRequest says what is built of a working tree. The fields are those of a [Request].
type TreeRequest struct {
	Subdir, Dockerfile string
	AllowedFrontends   []string
}

// ReadTree reads a working tree, whose root is the folder dir, by the rules for a fetched one: it
// refuses what must not reach the frontend, and leaves out what .dockerignore names. The root's
// .git is left out too, as in a fetched tree. Nothing is followed out of dir. The error is
// [git.ErrInvalid] if dir is no folder, an [*Error] of kind [ErrRefused], or ctx's.
func ReadTree(ctx context.Context, dir string, req TreeRequest) (*Tree, error) {
	root, dir, err := openTree(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	in, err := inspectFiles(ctx, folder{root},
		Request{Subdir: req.Subdir, Dockerfile: req.Dockerfile,
			AllowedFrontends: req.AllowedFrontends},
		func(name string, err error) error {
			return refuse("%s has no %s that can be read: %w; add one, or name another in the "+
				"catalogue", dir, name, err)
		})
	if err != nil {
		return nil, treeError(ctx, err)
	}
	if _, err := root.Lstat(".gitmodules"); err == nil {
		in.warnings = append(in.warnings,
			"submodules are part of a working tree; a build of the commit leaves them out")
	}
	t := &Tree{context: filepath.Join(dir, filepath.FromSlash(req.Subdir)), inspection: in}
	if t.entries, err = readContext(ctx, root, req.Subdir, in.ignore); err != nil {
		return nil, treeError(ctx, err)
	}
	t.digest = t.sum(req.Dockerfile)
	return t, nil
}

// treeError keeps refusals and the context's own errors apart from what the disk says.
func treeError(ctx context.Context, err error) error {
	if cause := ctx.Err(); cause != nil {
		return cause
	}
	if _, ours := errors.AsType[*Error](err); ours {
		return err
	}
	return refuse("%w; make it readable, or name it in .dockerignore", err)
}

// Digest is of the Dockerfile's content and path, and of paths, modes, link targets and contents in
// the context. Times and owners are not in it: a tree that was checked out again has the same.
func (t *Tree) Digest() digest.Digest { return t.digest }

func (t *Tree) sum(dockerfile string) digest.Digest {
	h := sha256.New()
	// Quoting keeps any two names apart, whatever bytes they have.
	fmt.Fprintf(h, "pinion tree 1\n%q %s\n", dockerfile, digest.FromBytes(t.inspection.dockerfile))
	for _, e := range t.entries {
		fmt.Fprintf(h, "%q %o %q %s\n", e.path, uint32(e.mode), e.link, e.sum)
	}
	return digest.NewDigest(digest.SHA256, h)
}
