package layout

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// maxDocument bounds a manifest and a config, in bytes. Registries take manifests of 4 MiB.
const maxDocument = 8 << 20

const tempDir = privateDir + "/tmp"

// errDamaged means that a blob is missing or damaged. A failure of the disk is no damage.
var errDamaged = errors.New("damaged")

// hasBlob returns nil if a blob is there as a regular file of the right length. Otherwise it
// returns errDamaged. It reads no content.
func (l *Layout) hasBlob(d ocispec.Descriptor) error {
	if err := d.Digest.Validate(); err != nil {
		return fmt.Errorf("%w: digest %q: %w", errDamaged, d.Digest, err)
	}
	info, err := l.root.Lstat(imagestore.BlobPath(d.Digest))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: blob %s is missing", errDamaged, d.Digest)
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%w: blob %s is no file", errDamaged, d.Digest)
	case info.Size() != d.Size:
		return fmt.Errorf("%w: blob %s has %d bytes instead of %d", errDamaged, d.Digest,
			info.Size(), d.Size)
	}
	return nil
}

// document reads a document and compares it with its digest.
func (l *Layout) document(d ocispec.Descriptor) ([]byte, error) {
	if err := l.hasBlob(d); err != nil {
		return nil, err
	}
	if d.Size > maxDocument {
		return nil, fmt.Errorf("%w: blob %s is larger than %d bytes",
			errDamaged, d.Digest, maxDocument)
	}
	body, err := l.root.ReadFile(imagestore.BlobPath(d.Digest))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: blob %s is missing", errDamaged, d.Digest)
	}
	if err != nil {
		return nil, err
	}
	if got := d.Digest.Algorithm().FromBytes(body); got != d.Digest {
		return nil, fmt.Errorf("%w: blob %s has the content of %s", errDamaged, d.Digest, got)
	}
	return body, nil
}

// putBlob writes a blob. It returns an error if r breaks off, or has another length or digest. The
// caller holds blobsLock.
func (l *Layout) putBlob(ctx context.Context, d ocispec.Descriptor, r io.Reader) error {
	if err := d.Digest.Validate(); err != nil {
		return err
	}
	name := imagestore.BlobPath(d.Digest)
	if err := l.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	// The mark comes first. If the process is killed before the index names the image, the sweep
	// finds the blob by its mark.
	if err := l.markLoose(d.Digest); err != nil {
		return err
	}
	return l.writeFile(name, func(w io.Writer) error {
		verifier := d.Digest.Verifier()
		n, err := io.Copy(io.MultiWriter(w, verifier),
			io.LimitReader(contextReader{ctx, r}, d.Size+1))
		switch {
		case err != nil:
			return err
		case n != d.Size:
			return fmt.Errorf("blob %s: %w: not the %d bytes that it should have", d.Digest,
				io.ErrUnexpectedEOF, d.Size)
		case !verifier.Verified():
			return fmt.Errorf("what was sent as blob %s is something else", d.Digest)
		}
		return nil
	})
}

// writeFile replaces a file. After an error, or if the process is killed, the file is as it was.
func (l *Layout) writeFile(name string, fill func(io.Writer) error) error {
	if err := l.root.MkdirAll(tempDir, 0o755); err != nil {
		return err
	}
	temp := path.Join(tempDir, rand.Text())
	err := l.writeTemp(temp, fill)
	if err == nil {
		err = l.root.Rename(temp, name)
	}
	if err != nil {
		return errors.Join(err, ignoreMissing(l.root.Remove(temp)))
	}
	return l.syncDir(path.Dir(name))
}

func (l *Layout) writeTemp(name string, fill func(io.Writer) error) error {
	f, err := l.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if err = fill(f); err == nil {
		err = l.sync(f)
	}
	return errors.Join(err, f.Close())
}

// syncDir writes a folder's entries to the disk, so that after a power cut the index names no
// missing blob.
func (l *Layout) syncDir(name string) error {
	if runtime.GOOS == "windows" {
		return nil // it has no such request
	}
	dir, err := l.root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(l.sync(dir), dir.Close())
}

// putDocument writes a document unless it is there and intact.
func (l *Layout) putDocument(ctx context.Context, d ocispec.Descriptor) error {
	d.Size = int64(len(d.Data))
	if _, err := l.document(d); err == nil {
		return nil
	}
	return l.putBlob(ctx, d, bytes.NewReader(d.Data))
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// contextReader ends a copy between two reads once ctx has ended.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
