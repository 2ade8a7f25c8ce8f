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
)

// treeMount is the tree's name in the session.
const treeMount = "tree"

// upload is a Tree on its way to the builder. It hands out the entries as they were read; the disk
// is asked for the files' content alone, and that has to be what was read.
type upload struct {
	tree *Tree
	root *os.Root

	mu sync.Mutex
	// unsent are the files that the builder has not had whole.
	unsent map[string]entry
	// failed is the first file that could not be sent as it was read. Open's own error would be
	// lost: BuildKit's sender makes an empty file of it.
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

// mount offers the tree to the builder, for this one solve: a key of its own keeps BuildKit from
// taking files of an earlier upload for these because their size and time agree.
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
	return &sending{file: f, upload: u, entry: u.unsent[p], digester: digest.SHA256.Digester()}, nil
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
		Err: fmt.Errorf("%s is not what it was when the build was asked for (%w); ask again when "+
			"nobody writes to it", p, err)}
}

var errOtherContent = errors.New("its content has changed")

// outcome puts what happened here before what the builder made of it, and believes the builder only
// if it has got everything as it was read.
func (u *upload) outcome(err error) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.failed != nil:
		return u.failed
	case err != nil:
		return &Error{Op: "upload", Kind: ErrFetch, Err: harmless(err)}
	case len(u.unsent) > 0:
		return &Error{Op: "upload", Kind: ErrFetch,
			Err: fmt.Errorf("the builder did not take %d files of the working tree", len(u.unsent))}
	}
	return nil
}

// sending is a file that is checked while it is read. Reading it never fails, it only ends:
// BuildKit's sender would wait for ever after an error. What has gone wrong is in the upload's
// outcome.
type sending struct {
	file     *os.File
	upload   *upload
	entry    entry
	digester digest.Digester
	n        int64
}

func (s *sending) Read(p []byte) (int, error) {
	n, err := s.file.Read(p)
	_, _ = s.digester.Hash().Write(p[:n]) // a hash never fails
	s.n += int64(n)
	switch {
	case s.n > s.entry.size, errors.Is(err, io.EOF) && s.digester.Digest() != s.entry.sum:
		_ = s.upload.fail(s.entry.path, errOtherContent)
		return 0, io.EOF
	case errors.Is(err, io.EOF):
		s.upload.done(s.entry)
	case err != nil:
		_ = s.upload.fail(s.entry.path, err)
		return 0, io.EOF
	}
	return n, err
}

func (s *sending) Close() error { return s.file.Close() }

// receive has the builder take the tree now, as fetch has it fetch a commit.
func (u *upload) receive(ctx context.Context, c gateway.Client) (*checkout, error) {
	st := llb.Local(treeMount, llb.SessionID(c.BuildOpts().SessionID),
		llb.WithCustomName("take the working tree"))
	tree, err := take(ctx, c, st)
	if err := u.outcome(err); err != nil {
		return nil, err
	}
	return &checkout{state: st, tree: tree, strategy: StrategyLocal, ready: true}, nil
}
