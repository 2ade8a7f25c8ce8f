package buildkit

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"
	"unicode/utf8"

	"github.com/opencontainers/go-digest"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/resolver/arg"
)

// Tree is a template's working tree at the time when [ReadTree] read it. Later changes on the disk
// never get into an image with this Tree's digest.
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
	// modTime goes to the builder and not into the digest.
	modTime time.Time
	link    string        // a symbolic link's target
	sum     digest.Digest // of a file's content
}

// TreeRequest says what to build of a working tree. The fields are those of a [Request].
type TreeRequest struct {
	Subdir, Dockerfile string
	AllowedFrontends   []string
	Args               []arg.Rule
}

// ReadTree reads a working tree, whose root is the folder dir, by the rules for a fetched tree: it
// refuses what must not reach the frontend, and leaves out what .dockerignore names. It also leaves
// out the root's .git, which a fetched tree does not have. It follows no link out of dir. The error
// is [git.ErrInvalid] if dir is no folder, an [*Error] of kind [ErrRefused], or ctx's.
func ReadTree(ctx context.Context, dir string, req TreeRequest) (*Tree, error) {
	root, dir, err := openTree(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	in, err := inspectFiles(ctx, folder{root},
		Request{Subdir: req.Subdir, Dockerfile: req.Dockerfile,
			AllowedFrontends: req.AllowedFrontends, Args: req.Args},
		func(name string, err error) error {
			return refuse("%w", errdef.In(errdef.DockerfileMissing, "",
				fmt.Errorf("%s has no %s that can be read: %w", dir, name, err)))
		})
	if err != nil {
		return nil, treeError(ctx, err)
	}
	if _, err := root.Lstat(".gitmodules"); err == nil {
		in.warnings = append(in.warnings,
			"submodules are part of a working tree; a build of the commit leaves them out")
	}
	t := &Tree{context: filepath.Join(dir, filepath.FromSlash(req.Subdir)), inspection: in}
	var pointer string
	if t.entries, pointer, err = readContext(ctx, root, req.Subdir, in.ignore); err != nil {
		return nil, treeError(ctx, err)
	}
	if pointer != "" {
		in.warnings = append(in.warnings, fmt.Sprintf("%q is a pointer of Git LFS, whose content "+
			"is not in the working tree", pointer))
	}
	t.digest = t.sum(req.Dockerfile)
	return t, nil
}

// treeError returns an error of the disk as a refusal, and other errors as they are.
func treeError(ctx context.Context, err error) error {
	if cause := ctx.Err(); cause != nil {
		return cause
	}
	if _, ours := errors.AsType[*Error](err); ours {
		return err
	}
	return refuse("%w", errdef.In(errdef.TreeUnreadable, "", err))
}

// Digest returns a digest of the Dockerfile's content and path, of the build arguments that files
// of the tree give, and of the paths, modes, link targets and contents in the context. It does not
// depend on times and owners, so a new checkout of the same tree has the same digest.
func (t *Tree) Digest() digest.Digest { return t.digest }

// oddName returns the first name that is not UTF-8, or "".
func oddName(entries []entry) string {
	for _, e := range entries {
		if !utf8.ValidString(e.path) || !utf8.ValidString(e.link) {
			return e.path
		}
	}
	return ""
}

func (t *Tree) sum(dockerfile string) digest.Digest {
	h := sha256.New()
	// Quoting keeps different names different, with any bytes in them.
	fmt.Fprintf(h, "pinion tree 1\n%q %s\n", dockerfile, digest.FromBytes(t.inspection.dockerfile))
	for _, a := range t.inspection.args {
		if a.File != "" {
			fmt.Fprintf(h, "arg %q %q\n", a.Name, a.Value)
		}
	}
	for _, e := range t.entries {
		fmt.Fprintf(h, "%q %o %q %s\n", e.path, uint32(e.mode), e.link, e.sum)
	}
	return digest.NewDigest(digest.SHA256, h)
}
