package registry

import (
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// sourceError is a failure to read what is uploaded.
type sourceError struct{ error }

// Unwrap gives errors.Is and errors.As the cause.
func (e sourceError) Unwrap() error { return e.error }

// source reads a blob, and ends with an error if it is not the one of the descriptor.
type source struct {
	desc   ocispec.Descriptor
	blob   io.Reader
	digest digest.Digester
	read   int64
	failed error
}

func newSource(desc ocispec.Descriptor, blob io.Reader) *source {
	return &source{desc: desc, blob: blob, digest: desc.Digest.Algorithm().Digester()}
}

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	n, err := s.blob.Read(p)
	s.read += int64(n)
	_, _ = s.digest.Hash().Write(p[:n]) // never fails
	switch {
	case s.failed != nil:
	case s.read > s.desc.Size, s.read == s.desc.Size && s.digest.Digest() != s.desc.Digest:
		s.failed = errors.New("it has another content")
	case err != nil && !errors.Is(err, io.EOF):
		s.failed = err
	case err != nil && s.read < s.desc.Size:
		s.failed = io.ErrUnexpectedEOF
	}
	if s.failed != nil {
		return 0, s.failed
	}
	return n, err
}

// failure returns why the blob could not be read, a sourceError, or nil.
func (s *source) failure() error {
	if s.failed == nil {
		return nil
	}
	return sourceError{fmt.Errorf("blob %s: %w", s.desc.Digest, s.failed)}
}
