package layout

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"

	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/registry"
)

// ErrNoLayout means that a folder is no OCI image layout, or a broken one.
var ErrNoLayout = errors.New("not an OCI image layout")

// Layout is an image store of kind KindOCI in a folder. It is safe for concurrent use.
type Layout struct {
	path string
	root *os.Root
	// sync writes a file, or a folder's entries, to the disk.
	sync   func(*os.File) error
	logins Logins
}

// Option adjusts a Layout.
type Option func(*Layout)

// privateDir holds locks, temporary files and the list of loose blobs. The format permits other
// files.
const privateDir = ".pinion"

// Open opens the folder. It creates a missing folder with mode 0700. A folder that is neither empty
// nor a layout is ErrNoLayout. Errors are *imagestore.Error.
func Open(dir string, opts ...Option) (*Layout, error) {
	l, err := open(dir)
	if err != nil {
		return nil, &imagestore.Error{Op: "open", Origin: imagestore.OriginLayout, Ref: dir,
			Err: err}
	}
	l.logins = func(host string) (registry.Login, error) { return registry.Login{Host: host}, nil }
	for _, o := range opts {
		o(l)
	}
	return l, nil
}

func open(dir string) (*Layout, error) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	// Records name the folder by its path, so there is one path for it.
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	l := &Layout{path: path, root: root, sync: (*os.File).Sync}
	if err := l.check(); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return l, nil
}

// check returns ErrNoLayout for a folder that is meant for something else.
func (l *Layout) check() error {
	version, err := l.version()
	switch {
	case err == nil && version == ocispec.ImageLayoutVersion:
		return nil
	case err == nil:
		return fmt.Errorf("%w of a known version: it has %q, and only %s is known", ErrNoLayout,
			version, ocispec.ImageLayoutVersion)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %w", ErrNoLayout, err)
	}
	entries, err := fs.ReadDir(l.root.FS(), ".")
	if err != nil {
		return err
	}
	// A first writer leaves the private folder and maybe blobs before there is a layout file.
	ours := func(e fs.DirEntry) bool { return e.Name() == privateDir }
	if len(entries) > 0 && !slices.ContainsFunc(entries, ours) {
		return errdef.In(errdef.FolderForeign, l.path, fmt.Errorf("%w, and not empty", ErrNoLayout))
	}
	return nil
}

// Endpoint is oci:// and the folder's path, free of symbolic links.
func (l *Layout) Endpoint() string { return "oci://" + filepath.ToSlash(l.path) }

// Exists reports whether the folder is still there under its path.
func (l *Layout) Exists() bool {
	there, err := os.Stat(l.path)
	if err != nil {
		return false
	}
	ours, err := l.root.Stat(".")
	return err == nil && os.SameFile(there, ours)
}

// Close releases the folder.
func (l *Layout) Close() error { return l.root.Close() }

// Info describes the store. Version is the format's; Platform is this machine's.
func (l *Layout) Info(context.Context) (imagestore.EngineInfo, error) {
	return imagestore.EngineInfo{
		Version:  ocispec.ImageLayoutVersion,
		Kind:     imagestore.KindOCI,
		Platform: platforms.Format(platforms.Normalize(platforms.DefaultSpec())),
		OSType:   runtime.GOOS,
		RootDir:  l.path,
		ID:       l.id(),
	}, nil
}

// Uses returns nothing, since a folder has no containers.
func (l *Layout) Uses(context.Context) ([]imagestore.Use, error) { return nil, nil }

// Pull returns errors.ErrUnsupported: only an engine can pull.
func (l *Layout) Pull(_ context.Context, ref, _ string, _ func(imagestore.Progress)) error {
	return l.fail("pull", ref, errdef.In(errdef.PullNeedsEngine, "",
		fmt.Errorf("%w: only a Docker engine pulls, and this is an OCI layout",
			errors.ErrUnsupported)))
}

// fail makes an *imagestore.Error of a failure in the folder.
func (l *Layout) fail(op, ref string, err error) error {
	var done *imagestore.Error
	switch {
	case errors.As(err, &done):
		return err
	case errors.Is(err, syscall.ENOSPC):
		err = errdef.In(errdef.DiskFull, l.path, err)
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		err = errdef.In(errdef.FolderReadOnly, l.path, err)
	}
	return &imagestore.Error{Op: op, Origin: imagestore.OriginLayout, Ref: ref, Err: err}
}
