package buildkit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	controlapi "github.com/moby/buildkit/api/services/control"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/identity"
	"github.com/moby/buildkit/session"
	sessioncontent "github.com/moby/buildkit/session/content"
	"github.com/moby/buildkit/session/grpchijack"
	"github.com/moby/buildkit/solver/pb"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// lastStatus is how long the last progress of a save may take to come after its end.
const lastStatus = time.Second

// ErrCache means that the builder could not save its cache.
var ErrCache = errors.New("build cache not saved")

// CacheSave says what to save and where.
type CacheSave struct {
	// Graph is the build graph in a [Result].
	Graph *pb.Definition
	// Imports are those of the [Request]. The builder may have results only there.
	Imports, Exports []CacheEntry
	// Stores has the content of the folders that entries of the type local name in src and dest.
	Stores map[string]content.Store
	// StallAfter is how long the builder may report no progress; 0 means forever. It reports the
	// start and the end of each layer, and nothing between.
	StallAfter time.Duration
	// Progress gets the statuses of the solve; nil for nobody.
	Progress func(*client.SolveStatus)
}

// SaveCache exports the builder's cache of a solved graph, in a solve that leaves nothing in the
// builder's history. No step runs unless the builder has pruned the build's results. The session
// has no credentials but the registries'. For entries of the type local it returns the descriptor
// of the cache's manifest. The error is an [*Error] of kind [ErrCache], or the context's cause.
//
// It calls the control API and not client.Solve, which overwrites the index.json of a local cache
// in place.
func (b *Builder) SaveCache(ctx context.Context, save CacheSave) (ocispecs.Descriptor, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w := newWatchdog(save.StallAfter, cancel)
	done := w.watch(func() error {
		return &Error{Op: "save cache", Kind: ErrCache, Err: fmt.Errorf(
			"%w: the builder reported nothing for %s", ErrStalled, save.StallAfter)}
	})
	defer done()
	ref := identity.NewID()
	observed := make(chan struct{})
	go func() {
		defer close(observed)
		b.observe(ctx, ref, w, save.Progress)
		done() // who sees nothing cannot say that nothing moves
	}()
	defer func() { // no progress comes after the return
		select {
		case <-observed:
		case <-time.After(lastStatus):
			cancel(nil)
			<-observed
		}
	}()
	response, err := b.saveCache(ctx, ref, save)
	if err == nil {
		var desc ocispecs.Descriptor
		if desc, err = manifestOf(response, save.Exports); err == nil {
			return desc, nil
		}
	}
	if cause := context.Cause(ctx); cause != nil {
		return ocispecs.Descriptor{}, cause
	}
	return ocispecs.Descriptor{}, &Error{Op: "save cache", Kind: ErrCache, Err: harmless(err)}
}

// observe passes the progress of a solve to a watchdog and to next, until the solve or ctx ends.
func (b *Builder) observe(
	ctx context.Context, ref string, w *watchdog, next func(*client.SolveStatus),
) {
	stream, err := b.client.ControlClient().Status(ctx, &controlapi.StatusRequest{Ref: ref})
	for err == nil {
		var resp *controlapi.StatusResponse
		if resp, err = stream.Recv(); err == nil {
			status := client.NewSolveStatus(resp)
			w.observe(status)
			if next != nil {
				next(status)
			}
		}
	}
}

func (b *Builder) saveCache(
	ctx context.Context, ref string, save CacheSave,
) (response map[string]string, err error) {
	s, err := session.NewSession(ctx, "")
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if b.registry != nil {
		s.Allow(b.registry)
	}
	if len(save.Stores) > 0 {
		stores := map[string]content.Store{}
		for folder, store := range save.Stores {
			stores["local:"+folder] = store // cache/remotecache/local, contentStoreIDPrefix
		}
		s.Allow(sessioncontent.NewAttachable(stores))
	}
	dial := b.dialSession
	if dial == nil {
		dial = grpchijack.Dialer(b.client.ControlClient())
	}
	group, ctx := errgroup.WithContext(ctx)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group.Go(func() error { return s.Run(ctx, dial) })
	group.Go(func() error {
		defer s.Close()
		resp, err := b.client.ControlClient().Solve(ctx, &controlapi.SolveRequest{
			Ref: ref, Session: s.ID(), Definition: save.Graph, Internal: true,
			Cache: &controlapi.CacheOptions{Imports: wire(save.Imports),
				Exports: wire(save.Exports)},
		})
		if err == nil {
			response = resp.ExporterResponse
		}
		return err
	})
	err = group.Wait()
	return response, err
}

func wire(entries []CacheEntry) (out []*controlapi.CacheOptionsEntry) {
	for _, e := range entries {
		out = append(out, &controlapi.CacheOptionsEntry{Type: e.Type, Attrs: e.Attrs})
	}
	return out
}

// manifestOf returns the descriptor of the manifest that was written to a local cache. The key in
// the response is cache/remotecache.ExporterResponseManifestDesc.
func manifestOf(
	response map[string]string, exports []CacheEntry,
) (desc ocispecs.Descriptor, err error) {
	if len(exports) == 0 || exports[0].Type != "local" {
		return desc, nil
	}
	raw := response["cache.manifest"]
	if raw == "" {
		return desc, errors.New("the builder wrote no cache")
	}
	if err := json.Unmarshal([]byte(raw), &desc); err != nil {
		return desc, fmt.Errorf("the cache's descriptor: %w", err)
	}
	return desc, nil
}
