package imagestore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/containerd/platforms"
	"github.com/moby/moby/client"
	"github.com/moby/moby/client/pkg/versions"
)

// loadPlatformAPI is the first API version whose load takes a platform (moby,
// api/docs/CHANGELOG.md, v1.48). With it a missing layer is an error; without
// it a containerd store accepts the archive and leaves a broken tag.
const loadPlatformAPI = "1.48"

// Load streams a docker or OCI archive into the store. An error in the answer
// is an error, though the engine answered 200. If archive fails, the error
// wraps what it returned. platform may be "".
//
// Load reads archive until it returns, except for a Read that is under way
// when the engine answers early: a caller with a pipe closes its reading end
// afterwards. Errors are *Error, ErrUnavailable among them.
func (e *Engine) Load(ctx context.Context, archive io.Reader, platform string) error {
	opts, err := e.loadOptions(ctx, platform)
	if err != nil {
		return e.fail(ctx, "load", "", err)
	}
	source := &source{r: archive}
	err = e.load(ctx, source, opts)
	if broken := source.end(); broken != nil {
		return &Error{Op: "load", Origin: OriginDocker, Err: fmt.Errorf("reading the archive: %w", broken)}
	}
	if err != nil {
		return e.fail(ctx, "load", "", err)
	}
	return nil
}

func (e *Engine) load(ctx context.Context, archive io.Reader, opts []client.ImageLoadOption) error {
	resp, err := e.api.ImageLoad(ctx, archive, opts...)
	if err != nil {
		return err
	}
	defer resp.Close()
	return readStream(resp, func(message) {})
}

func (e *Engine) loadOptions(ctx context.Context, platform string) ([]client.ImageLoadOption, error) {
	opts := []client.ImageLoadOption{client.ImageLoadWithQuiet(true)}
	if platform == "" {
		return opts, nil
	}
	want, err := platforms.Parse(platform)
	if err != nil {
		return nil, err
	}
	version, err := e.apiVersion(ctx)
	if err != nil {
		return nil, err
	}
	if versions.GreaterThanOrEqualTo(version, loadPlatformAPI) {
		opts = append(opts, client.ImageLoadWithPlatforms(want))
	}
	return opts, nil
}

// source remembers how its reader failed, because HTTP reports a failing body
// and a failing connection alike, and keeps the transport, which may outlive
// the request, from starting another Read after the end.
type source struct {
	r io.Reader

	mu     sync.Mutex
	ended  bool
	failed error
}

func (s *source) Read(p []byte) (int, error) {
	if s.isEnded() {
		return 0, io.ErrClosedPipe
	}
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.ended {
			s.failed = err
		}
	}
	return n, err
}

func (s *source) isEnded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

// end stops reading and returns the reader's error, if that came first.
func (s *source) end() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	return s.failed
}
