package watch

import (
	"context"
	"net/url"
	"sync"
	"time"

	"github.com/distribution/reference"
)

// host is a git server. It bounds the look-ups of all repositories there.
type host struct {
	places chan struct{}

	mu       sync.Mutex
	followed int // guarded by mu
}

// hostOf returns the host of a repository's URL or of an image's reference.
func (w *Watcher) hostOf(repository string) *host {
	name := repository
	if u, err := url.Parse(repository); err == nil && u.Host != "" {
		name = u.Host
	} else if image, err := reference.ParseNormalizedNamed(repository); err == nil {
		name = reference.Domain(image)
	}
	if w.hosts[name] == nil {
		w.hosts[name] = &host{places: make(chan struct{}, lookupsPerHost)}
	}
	return w.hosts[name]
}

// enter waits until another look-up may run, and reports whether it may. If it may, the caller must
// call leave.
func (h *host) enter(ctx context.Context) bool {
	select {
	case h.places <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (h *host) leave() { <-h.places }

// firstDelay returns the time until the first look-up of the next template that is followed there.
func (h *host) firstDelay(interval time.Duration) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.followed++
	return time.Duration(h.followed-1) * firstGap % interval
}
