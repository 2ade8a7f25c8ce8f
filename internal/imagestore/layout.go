package imagestore

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
)

// Layout is a folder with images in it, in the format of the OCI image layout (image-spec v1.1,
// image-layout.md), as an image store of KindOCI. It is safe for concurrent use, by goroutines and
// by processes of one machine.
//
// What it promises beyond the package: an image has its name only when all of its blobs are there,
// whoever is killed and whatever fails meanwhile; an entry of somebody else's in the index stays as
// it is, and so do the blobs that it leads to. Layers are never unpacked. Everything happens inside
// the folder, wherever links in it point.
//
// What it does not: that a layer still has the content which was written. Each look at an image
// reads manifest and config and compares their digests, but of the layers only the sizes.
type Layout struct {
	path string
	root *os.Root
}

// privateDir holds locks, temporary files and the list of loose blobs. The format leaves room for
// other files.
const privateDir = ".pinion"

// OpenLayout opens the folder and creates it, with mode 0700, if it is missing. The folder is empty
// or a layout; anything else is refused with ErrNoLayout. Errors are *Error.
func OpenLayout(dir string) (*Layout, error) {
	l, err := openLayout(dir)
	if err != nil {
		return nil, &Error{Op: "open", Origin: OriginLayout, Ref: dir, Err: err}
	}
	return l, nil
}

func openLayout(dir string) (*Layout, error) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	// One folder has one name, since the records go by it.
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	l := &Layout{path: path, root: root}
	if err := l.check(); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return l, nil
}

// check refuses a folder that is meant for something else.
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
	// A first writer that was killed, or is at work, has left the private folder and maybe blobs.
	ours := func(e fs.DirEntry) bool { return e.Name() == privateDir }
	if len(entries) > 0 && !slices.ContainsFunc(entries, ours) {
		return fmt.Errorf("%w, and not empty; name another folder", ErrNoLayout)
	}
	return nil
}

// Endpoint is oci:// and the folder's path, free of symbolic links.
func (l *Layout) Endpoint() string { return "oci://" + filepath.ToSlash(l.path) }

// Exists says that the folder is still there under its path.
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
func (l *Layout) Info(context.Context) (EngineInfo, error) {
	return EngineInfo{
		Version:  ocispec.ImageLayoutVersion,
		Kind:     KindOCI,
		Platform: platforms.Format(platforms.Normalize(platforms.DefaultSpec())),
		OSType:   runtime.GOOS,
		RootDir:  l.path,
	}, nil
}

// Uses is empty: a folder knows of no containers.
func (l *Layout) Uses(context.Context) ([]Use, error) { return nil, nil }

// Pull is not to be had without an engine. The error wraps errors.ErrUnsupported.
func (l *Layout) Pull(_ context.Context, ref, _ string, _ func(status string)) error {
	return l.fail("pull", ref,
		fmt.Errorf("%w: an OCI layout takes what is built, and only a Docker engine pulls; "+
			"leave out --store, or unset MOLECULE_IMAGE_REGISTRY to build", errors.ErrUnsupported))
}

// fail makes the package's error of what went wrong in the folder.
func (l *Layout) fail(op, ref string, err error) error {
	var done *Error
	switch {
	case errors.As(err, &done):
		return err
	case errors.Is(err, syscall.ENOSPC):
		err = fmt.Errorf("%w; make room on its disk, for example by `pinion prune`", err)
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		err = fmt.Errorf("%w; make %s writable, or name another folder with --store", err, l.path)
	}
	return &Error{Op: op, Origin: OriginLayout, Ref: ref, Err: err}
}
