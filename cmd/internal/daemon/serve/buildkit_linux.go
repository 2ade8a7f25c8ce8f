package serve

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"time"

	ctdsnapshot "github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/plugins/snapshots/native"
	"github.com/containerd/containerd/v2/plugins/snapshots/overlay"
	"github.com/containerd/containerd/v2/plugins/snapshots/overlay/overlayutils"
	"github.com/moby/buildkit/cache/remotecache"
	inlinecache "github.com/moby/buildkit/cache/remotecache/inline"
	localcache "github.com/moby/buildkit/cache/remotecache/local"
	registrycache "github.com/moby/buildkit/cache/remotecache/registry"
	"github.com/moby/buildkit/client"
	buildkitdconfig "github.com/moby/buildkit/cmd/buildkitd/config"
	"github.com/moby/buildkit/control"
	"github.com/moby/buildkit/executor/oci"
	"github.com/moby/buildkit/frontend"
	dockerfile "github.com/moby/buildkit/frontend/dockerfile/builder"
	"github.com/moby/buildkit/frontend/gateway"
	"github.com/moby/buildkit/frontend/gateway/forwarder"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/solver"
	"github.com/moby/buildkit/solver/bboltcachestorage"
	"github.com/moby/buildkit/util/archutil"
	"github.com/moby/buildkit/util/bklog"
	"github.com/moby/buildkit/util/db/boltutil"
	"github.com/moby/buildkit/util/network/netproviders"
	"github.com/moby/buildkit/util/resolver"
	"github.com/moby/buildkit/version"
	"github.com/moby/buildkit/worker"
	"github.com/moby/buildkit/worker/base"
	"github.com/moby/buildkit/worker/runc"
	bolt "go.etcd.io/bbolt"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/daemon"
)

// builder is BuildKit with one worker.
type builder struct {
	*control.Controller
	snapshotter string
}

// newBuilder assembles BuildKit as buildkitd does, without the parts that require a configuration.
// Cancelling ctx announces the end of the daemon to it.
func newBuilder(ctx context.Context, s daemon.Settings) (*builder, error) {
	// The linker sets it for buildkitd, whose clients can query it.
	version.Version = buildkitVersion()
	cfg, err := buildkitdconfig.LoadFile(s.Config)
	if err != nil {
		return nil, fmt.Errorf("read the registries of %s: %w", s.Config, err)
	}
	hosts := resolver.NewRegistryConfig(cfg.Registries)
	snapshots := snapshotter(s.StateDir())
	opt, err := workerOpt(s, snapshots)
	if err != nil {
		return nil, err
	}
	opt.RegistryHosts = hosts
	w, err := base.NewWorker(ctx, opt)
	if err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	workers := &worker.Controller{}
	if err := workers.Add(w); err != nil {
		return nil, err
	}
	sessions, err := session.NewManager()
	if err != nil {
		return nil, err
	}
	c, err := controller(ctx, s, sessions, workers, w, cacheFuncs{sessions, hosts, w})
	if err != nil {
		return nil, err
	}
	return &builder{c, snapshots.Name}, nil
}

func controller(
	ctx context.Context, s daemon.Settings, sessions *session.Manager, workers *worker.Controller,
	w *base.Worker, caches cacheFuncs,
) (*control.Controller, error) {
	byImage, err := gateway.NewGatewayFrontend(workers.Infos(), nil)
	if err != nil {
		return nil, err
	}
	store, err := bboltcachestorage.NewStore(filepath.Join(s.StateDir(), "cache.db"))
	if err != nil {
		return nil, err
	}
	history, err := boltutil.SafeOpen(filepath.Join(s.StateDir(), "history.db"), 0o600,
		&bolt.Options{FreelistType: bolt.FreelistMapType, NoFreelistSync: true})
	if err != nil {
		return nil, err
	}
	return control.NewController(control.Opt{
		SessionManager:   sessions,
		WorkerController: workers,
		Frontends: map[string]frontend.Frontend{
			"dockerfile.v0": forwarder.NewGatewayForwarder(workers.Infos(), dockerfile.Build),
			"gateway.v0":    byImage,
		},
		ResolveCacheExporterFuncs: caches.exporters(),
		ResolveCacheImporterFuncs: caches.importers(),
		CacheManager: solver.NewCacheManager(context.WithoutCancel(ctx), "local",
			store, worker.NewCacheResultStorage(workers)),
		HistoryDB:      history,
		CacheStore:     store,
		LeaseManager:   w.LeaseManager(),
		ContentStore:   w.ContentStore(),
		GarbageCollect: w.GarbageCollect,
		GracefulStop:   ctx.Done(),
	})
}

type cacheFuncs struct {
	sessions *session.Manager
	hosts    resolverHosts
	worker   *base.Worker
}

func (c cacheFuncs) exporters() map[string]remotecache.ResolveCacheExporterFunc {
	return map[string]remotecache.ResolveCacheExporterFunc{
		"registry": registrycache.ResolveCacheExporterFunc(c.sessions, c.hosts),
		"local":    localcache.ResolveCacheExporterFunc(c.sessions),
		"inline":   inlinecache.ResolveCacheExporterFunc(),
	}
}

func (c cacheFuncs) importers() map[string]remotecache.ResolveCacheImporterFunc {
	return map[string]remotecache.ResolveCacheImporterFunc{
		"registry": registrycache.ResolveCacheImporterFunc(
			c.sessions, c.worker.ContentStore(), c.hosts),
		"local": localcache.ResolveCacheImporterFunc(c.sessions),
	}
}

func workerOpt(s daemon.Settings, snapshots runc.SnapshotterFactory) (base.WorkerOpt, error) {
	path, err := exec.LookPath("runc")
	if err != nil {
		return base.WorkerOpt{}, err
	}
	opt, err := runc.NewWorkerOpt(s.StateDir(), snapshots, false, oci.ProcessSandbox, nil, nil,
		// RUN steps use the host's network, as with buildkitd's default if it has no CNI
		// configuration.
		netproviders.Opt{Mode: "host"}, nil, path, "", false, nil, "", cgroupParent(s.Root), nil)
	if err != nil {
		return opt, err
	}
	opt.GCPolicy = gcPolicy(s.KeepStorage)
	opt.BuildkitVersion = client.BuildkitVersion{Package: version.Package, Version: version.Version,
		Revision: version.Revision}
	opt.Platforms = archutil.SupportedPlatforms(true)
	return opt, nil
}

// gcPolicy removes first what is easiest to recreate, as buildkitd's default does.
func gcPolicy(keep int64) []client.PruneInfo {
	const small = 512 << 20
	return []client.PruneInfo{
		{Filter: []string{"type==source.local,type==exec.cachemount,type==source.git.checkout"},
			KeepDuration: 48 * time.Hour, MaxUsedSpace: min(small, keep)},
		{KeepDuration: 60 * 24 * time.Hour, MaxUsedSpace: keep},
		{MaxUsedSpace: keep},
		{All: true, MaxUsedSpace: keep},
	}
}

// snapshotter returns overlayfs if the folder's file system supports it, otherwise plain copies,
// which require much more space.
func snapshotter(dir string) runc.SnapshotterFactory {
	if err := overlayutils.Supported(dir); err != nil {
		bklog.L.Warnf("overlayfs is not supported below %s, so snapshots are copies: %v", dir, err)
		return runc.SnapshotterFactory{Name: "native", New: native.NewSnapshotter}
	}
	return runc.SnapshotterFactory{Name: "overlayfs",
		New: func(root string) (ctdsnapshot.Snapshotter, error) {
			return overlay.NewSnapshotter(root, overlay.AsynchronousRemove)
		}}
}

func buildkitVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == "github.com/moby/buildkit" {
				return m.Version
			}
		}
	}
	return version.Version
}
