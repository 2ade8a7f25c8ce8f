package buildkit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/client/llb"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/opencontainers/go-digest"
	"github.com/tonistiigi/fsutil"
	fstypes "github.com/tonistiigi/fsutil/types"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
)

// treeMount is the tree's name in the session.
const treeMount = "tree"

// upload sends a Tree to the builder. The entries are those of the Tree. Only the content of files
// comes from the disk, and it must be what was read before.
type upload struct {
	tree *Tree
	root *os.Root

	mu sync.Mutex
	// unsent are the files that the builder has not read to the end.
	unsent map[string]entry
	// failed is the error of the first file that could not be sent. BuildKit's sender drops the
	// error of Open and sends an empty file.
	failed error
}

func newUpload(t *Tree) (*upload, error) {
	root, err := os.OpenRoot(t.context)
	if err != nil {
		return nil, changed(".", err)
	}
	u := &upload{tree: t, root: root, unsent: map[string]entry{}}
	for _, e := range t.entries {
		if e.mode.IsRegular() {
			u.unsent[e.path] = e
		}
	}
	return u, nil
}

func (u *upload) close() { _ = u.root.Close() }

// mount adds the tree to the session. The random key keeps BuildKit from reusing a file of an
// earlier upload that has the same size and time.
func (u *upload) mount(opt *client.SolveOpt) {
	opt.LocalMounts = map[string]fsutil.FS{treeMount: u}
	opt.SharedKey = rand.Text()
}

// Walk implements fsutil.FS.
func (u *upload) Walk(ctx context.Context, _ string, visit fs.WalkDirFunc) error {
	for _, e := range u.tree.entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := filepath.FromSlash(e.path)
		st := &fstypes.Stat{Path: p, Mode: uint32(e.mode), Size: e.size,
			ModTime: e.modTime.UnixNano(), Linkname: e.link}
		if err := visit(p, &fsutil.DirEntryInfo{Stat: st}, nil); err != nil {
			return err
		}
	}
	return nil
}

// Open implements fsutil.FS.
func (u *upload) Open(p string) (io.ReadCloser, error) {
	p = filepath.ToSlash(p)
	f, err := openFile(u.root, p)
	if err != nil {
		return nil, u.fail(p, err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return &uploadFile{file: f, upload: u, entry: u.unsent[p],
		digester: digest.SHA256.Digester()}, nil
}

func (u *upload) done(e entry) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.unsent, e.path)
}

func (u *upload) fail(p string, err error) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.failed == nil {
		u.failed = changed(p, err)
	}
	return u.failed
}

func changed(p string, err error) error {
	return &Error{Op: "upload", Kind: ErrChanged,
		Err: errdef.In(errdef.TreeChanged, "",
			fmt.Errorf("%s is not what it was when the build was requested (%w)", p, err))}
}

var errOtherContent = errors.New("its content has changed")

// outcome returns the error of the upload, given the builder's. A local error comes first, since it
// may have caused the builder's. Without an error the builder must have read every file to the end.
func (u *upload) outcome(err error) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.failed != nil:
		return u.failed
	case err != nil:
		return &Error{Op: "upload", Kind: ErrFetch, Err: harmless(err)}
	case len(u.unsent) > 0 && u.tree.oddName() != "":
		return refuse("the name %q in the working tree is not UTF-8, and this builder takes no "+
			"such names from here; of a commit it does", u.tree.oddName())
	case len(u.unsent) > 0:
		return &Error{Op: "upload", Kind: ErrFetch,
			Err: fmt.Errorf("the builder did not take %d files of the working tree", len(u.unsent))}
	}
	return nil
}

// uploadFile verifies a file while it is read. Read returns io.EOF instead of an error, after which
// BuildKit's sender would block forever; the error is in the upload's outcome.
type uploadFile struct {
	file     *os.File
	upload   *upload
	entry    entry
	digester digest.Digester
	n        int64
}

func (f *uploadFile) Read(p []byte) (int, error) {
	n, err := f.file.Read(p)
	_, _ = f.digester.Hash().Write(p[:n]) // a hash never fails
	f.n += int64(n)
	switch {
	case f.n > f.entry.size, errors.Is(err, io.EOF) && f.digester.Digest() != f.entry.sum:
		_ = f.upload.fail(f.entry.path, errOtherContent)
		return 0, io.EOF
	case errors.Is(err, io.EOF):
		f.upload.done(f.entry)
	case err != nil:
		_ = f.upload.fail(f.entry.path, err)
		return 0, io.EOF
	}
	return n, err
}

func (f *uploadFile) Close() error { return f.file.Close() }

// receive makes the builder take the tree now, as fetch does for a commit.
func (u *upload) receive(ctx context.Context, c gateway.Client) (*checkout, error) {
	st := llb.Local(treeMount, llb.SessionID(c.BuildOpts().SessionID),
		llb.WithCustomName("take the working tree"))
	tree, err := take(ctx, c, st)
	if err := u.outcome(err); err != nil {
		return nil, err
	}
	return &checkout{state: st, tree: tree, strategy: StrategyLocal, ready: true}, nil
}
