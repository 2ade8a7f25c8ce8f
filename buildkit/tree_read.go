package buildkit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	securejoin "github.com/cyphar/filepath-securejoin"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/patternmatcher"
	"github.com/opencontainers/go-digest"
	fstypes "github.com/tonistiigi/fsutil/types"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// openTree opens the root of a working tree and also returns its absolute path. The error is
// [git.ErrInvalid] if dir is no folder.
func openTree(dir string) (root *os.Root, abs string, err error) {
	invalid := func(err error) (*os.Root, string, error) {
		return nil, "", errdef.In(errdef.NoWorkingTree, "",
			fmt.Errorf("%w: working tree: %w", git.ErrInvalid, err))
	}
	if dir == "" {
		return invalid(errors.New("the folder's name is empty"))
	}
	abs, err = filepath.Abs(dir)
	if err != nil {
		return invalid(err)
	}
	switch info, err := os.Stat(abs); {
	case err != nil:
		return invalid(err)
	case !info.IsDir():
		return invalid(fmt.Errorf("%s is not a folder", abs))
	}
	if root, err = os.OpenRoot(abs); err != nil {
		return nil, "", refuse("%w", err)
	}
	return root, abs, nil
}

// folder is a local folder that can be read like a fetched tree: links are followed as if the
// folder were the root of a file system.
type folder struct{ root *os.Root }

// Lstat implements securejoin.VFS.
func (f folder) Lstat(name string) (os.FileInfo, error) { return f.root.Lstat(inRoot(name)) }

// Readlink implements securejoin.VFS.
func (f folder) Readlink(name string) (string, error) { return f.root.Readlink(inRoot(name)) }

// inRoot returns an absolute path as one in the folder.
func inRoot(name string) string {
	rel, err := filepath.Rel(string(filepath.Separator), name)
	if err != nil {
		return name // it is relative
	}
	return rel
}

func (f folder) ReadFile(_ context.Context, req gateway.ReadRequest) ([]byte, error) {
	// If a link changes meanwhile, the root still holds what is opened.
	name, err := securejoin.SecureJoinVFS(string(filepath.Separator), req.Filename, f)
	if err != nil {
		return nil, err
	}
	file, err := openFile(f.root, inRoot(name))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var r io.Reader = file
	if req.Range != nil {
		r = io.LimitReader(file, int64(req.Range.Length))
	}
	return io.ReadAll(r)
}

func (f folder) ReadDir(
	_ context.Context, req gateway.ReadDirRequest,
) (list []*fstypes.Stat, err error) {
	entries, err := readDir(f.root, path.Clean(req.Path))
	for _, e := range entries {
		list = append(list, &fstypes.Stat{Path: e.Name(), Mode: uint32(e.Type())})
	}
	return list, err
}

// readContext returns the entries of the build context, in the order that BuildKit expects.
//
// pointer is the first file that is a pointer of Git LFS, "" if none is.
func readContext(
	ctx context.Context, root *os.Root, subdir string, ignore []string,
) (entries []entry, pointer string, err error) {
	base := root
	if subdir != "" {
		if base, err = root.OpenRoot(subdir); err != nil {
			return nil, "", err
		}
		defer base.Close()
	}
	ignored, err := patternmatcher.New(ignore)
	if err != nil {
		return nil, "", err
	}
	w := &contextWalk{root: base, ignored: ignored, isRepository: subdir == ""}
	if err := w.folder(ctx, ".", patternmatcher.MatchInfo{}); err != nil {
		return nil, "", err
	}
	return w.entries, w.pointer, nil
}

type contextWalk struct {
	root    *os.Root
	ignored *patternmatcher.PatternMatcher
	// isRepository reports whether the context is the repository's root.
	isRepository bool
	entries      []entry
	// pending are the ignored folders around the current place. They become entries when an
	// exception ("!") includes something in them.
	pending []entry
	pointer string // the first file that is one of Git LFS
}

func (w *contextWalk) folder(
	ctx context.Context, dir string, parent patternmatcher.MatchInfo,
) error {
	names, err := readDir(w.root, dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := path.Join(dir, n.Name())
		if p == ".git" && w.isRepository {
			continue
		}
		if err := w.one(ctx, p, n, parent); err != nil {
			return err
		}
	}
	return nil
}

func (w *contextWalk) one(
	ctx context.Context, p string, d fs.DirEntry, parent patternmatcher.MatchInfo,
) error {
	matched, info, err := w.ignored.MatchesUsingParentResults(p, parent)
	if err != nil {
		return err
	}
	if matched && !(d.IsDir() && w.ignored.Exclusions()) {
		return nil
	}
	e, err := w.entry(p)
	// Git has no sockets, pipes or devices, so they are no part of a template.
	if err != nil || e.mode.Type()&^(fs.ModeDir|fs.ModeSymlink) != 0 {
		return err
	}
	if !matched {
		w.entries = append(append(w.entries, w.pending...), e)
		w.pending = w.pending[:0]
	}
	if !d.IsDir() {
		return nil
	}
	if !matched {
		return w.folder(ctx, p, info)
	}
	w.pending = append(w.pending, e)
	depth := len(w.pending)
	err = w.folder(ctx, p, info)
	w.pending = w.pending[:min(len(w.pending), depth-1)]
	return err
}

func (w *contextWalk) entry(p string) (entry, error) {
	info, err := w.root.Lstat(p)
	if err != nil {
		return entry{}, err
	}
	e := entry{path: p, mode: gitMode(info.Mode()), modTime: info.ModTime()}
	switch {
	case e.mode&fs.ModeSymlink != 0:
		e.link, err = w.root.Readlink(p)
	case e.mode.IsRegular():
		e.sum, e.size, err = w.content(p)
	}
	return e, err
}

// gitMode returns a mode as a checkout of a commit has it: git knows of a file only whether its
// owner may execute it, so that the umask of a clone has no effect. The permissions of a link in
// Lstat depend on the system.
func gitMode(mode fs.FileMode) fs.FileMode {
	switch {
	case mode&fs.ModeSymlink != 0:
		return fs.ModeSymlink | fs.ModePerm
	case mode.IsDir():
		return fs.ModeDir | 0o755
	case mode.IsRegular() && mode&0o100 != 0:
		return 0o755
	case mode.IsRegular():
		return 0o644
	}
	return mode
}

// content returns the digest and the size of what it reads. The size can differ from that in the
// earlier stat.
func (w *contextWalk) content(p string) (digest.Digest, int64, error) {
	f, err := openFile(w.root, p)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	d := digest.SHA256.Digester()
	head := make([]byte, git.MaxLFSPointer)
	n, err := io.ReadFull(f, head)
	_, _ = d.Hash().Write(head[:n]) // a hash never fails
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		if _, ok := git.ParseLFSPointer(head[:n]); ok && w.pointer == "" {
			w.pointer = p
		}
		return d.Digest(), int64(n), nil
	}
	var rest int64
	if err == nil {
		rest, err = io.Copy(d.Hash(), f)
	}
	return d.Digest(), int64(n) + rest, err
}
