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

// upload sends files to the builder, in whose session they have a name. Only the content of a file
// comes from open, and it must have the size and the digest of its entry.
type upload struct {
	name    string
	entries []entry
	open    func(entry) (io.ReadCloser, error)
	// failure returns the error for a file that could not be sent.
	failure func(path string, err error) error
	root    *os.Root // of a Tree, else nil

	mu sync.Mutex
	// unsent are the files that the builder has not read to the end.
	unsent map[string]entry
	// failed is the error of the first file that could not be sent. BuildKit's sender drops the
	// error of Open and sends an empty file.
	failed error
}

// set sets what is sent. It must be called before the builder asks.
func (u *upload) set(entries []entry, open func(entry) (io.ReadCloser, error)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.entries, u.open, u.unsent = entries, open, map[string]entry{}
	for _, e := range entries {
		if e.mode.IsRegular() {
			u.unsent[e.path] = e
		}
	}
}

func newUpload(t *Tree) (*upload, error) {
	root, err := os.OpenRoot(t.context)
	if err != nil {
		return nil, changed(".", err)
	}
	u := &upload{name: "tree", failure: changed, root: root}
	u.set(t.entries, func(e entry) (io.ReadCloser, error) { return openFile(root, e.path) })
	return u, nil
}

func (u *upload) close() {
	if u.root != nil {
		_ = u.root.Close()
	}
}

// mount adds the files to the session. The random key keeps BuildKit from reusing a file of an
// earlier upload that has the same size and time.
func (u *upload) mount(opt *client.SolveOpt) {
	opt.LocalMounts = map[string]fsutil.FS{u.name: u}
	opt.SharedKey = rand.Text()
}

// Walk implements fsutil.FS.
func (u *upload) Walk(ctx context.Context, _ string, visit fs.WalkDirFunc) error {
	for _, e := range u.entries {
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
	u.mu.Lock()
	e, ok := u.unsent[p]
	u.mu.Unlock()
	if !ok {
		return nil, u.fail(p, errAgain)
	}
	f, err := u.open(e)
	if err != nil {
		return nil, u.fail(p, err)
	}
	return &uploadFile{file: f, upload: u, entry: e, digester: digest.SHA256.Digester()}, nil
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
		u.failed = u.failure(p, err)
	}
	return u.failed
}

func changed(p string, err error) error {
	return &Error{Op: "upload", Kind: ErrChanged,
		Err: errdef.In(errdef.TreeChanged, "",
			fmt.Errorf("%s is not what it was when the build was requested (%w)", p, err))}
}

var errAgain = errors.New("the builder takes it twice")

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
	case len(u.unsent) > 0 && oddName(u.entries) != "":
		return refuse("the name %q is not UTF-8, and this builder takes no such names from here; "+
			"of a commit it does", oddName(u.entries))
	case len(u.unsent) > 0:
		return &Error{Op: "upload", Kind: ErrFetch,
			Err: fmt.Errorf("the builder did not take %d files", len(u.unsent))}
	}
	return nil
}

// uploadFile verifies a file while it is read. Read returns io.EOF instead of an error, after which
// BuildKit's sender would block forever; the error is in the upload's outcome.
type uploadFile struct {
	file     io.ReadCloser
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

// receive makes the builder take the files now, as fetch does for a commit.
func (u *upload) receive(
	ctx context.Context, c gateway.Client, name string,
) (llb.State, files, error) {
	st := llb.Local(u.name, llb.SessionID(c.BuildOpts().SessionID), llb.WithCustomName(name))
	tree, err := take(ctx, c, st)
	return st, tree, u.outcome(err)
}
