package pinion

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/moby/buildkit/client"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/docker"
	"git.moleculesai.app/molecule-ai/pinion/internal/xdg"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

// Environment variables that [OptionsFromEnv] reads. All are optional. Docker's own (DOCKER_HOST,
// DOCKER_CONTEXT, DOCKER_CONFIG, ...) mean what they mean everywhere.
const (
	EnvCacheDir   = "MOLECULE_LOCAL_BUILD_CACHE"
	EnvRepoPrefix = "MOLECULE_LOCAL_TEMPLATE_REPO_PREFIX"
	EnvToken      = resolver.DefaultTokenEnv
	EnvPlatform   = "MOLECULE_IMAGE_PLATFORM"
	EnvConfig     = "PINION_CONFIG"
	EnvAllowHTTP  = "PINION_ALLOW_HTTP"
	EnvBuilder    = "BUILDKIT_HOST"
	EnvStore      = "PINION_STORE"
	EnvBuildCache = "PINION_CACHE"
	// EnvBuildxBuilder is buildx's own.
	EnvBuildxBuilder = "BUILDX_BUILDER"
)

// NativePlatform stands for the builder's own platform.
const NativePlatform = "native"

// Option adjusts an [Orchestrator].
type Option func(*settings)

type settings struct {
	lookup    func(string) (string, bool)
	prefix    string
	token     string
	secrets   []string // names of variables
	config    string
	allowHTTP bool
	cacheDir  string
	platform  string
	addr      string
	tls       buildkit.TLS
	builder   string // its name in buildx
	managed   func(context.Context) (addr string, err error)
	engine    docker.Config
	store     string
	frontends []string
	lockWait  time.Duration
	logger    *slog.Logger
	progress  func(name string, s *client.SolveStatus)

	maxParallel int
	buildCache  string
	stallAfter  time.Duration
}

func defaults() settings {
	return settings{
		lookup:     func(string) (string, bool) { return "", false },
		prefix:     resolver.DefaultRepoPrefix,
		platform:   defaultPlatform,
		lockWait:   time.Hour,
		buildCache: BuildCacheAuto,
		logger:     slog.New(slog.DiscardHandler),
		progress:   func(string, *client.SolveStatus) {},

		stallAfter: DefaultStallAfter,
	}
}

// OptionsFromEnv takes the settings from the environment, by way of lookup (os.LookupEnv in
// practice). An option that stands behind it overrides it. Without it nothing is read from the
// environment.
func OptionsFromEnv(lookup func(string) (string, bool)) Option {
	return func(s *settings) {
		s.lookup = lookup
		set := func(to *string, name string) {
			if v, ok := lookup(name); ok && strings.TrimSpace(v) != "" {
				*to = v
			}
		}
		set(&s.prefix, EnvRepoPrefix)
		set(&s.token, EnvToken)
		s.token = strings.TrimSpace(s.token)
		set(&s.cacheDir, EnvCacheDir)
		set(&s.platform, EnvPlatform)
		set(&s.config, EnvConfig)
		set(&s.addr, EnvBuilder)
		set(&s.builder, EnvBuildxBuilder)
		set(&s.store, EnvStore)
		set(&s.buildCache, EnvBuildCache)
		v, _ := lookup(EnvAllowHTTP)
		s.allowHTTP = v == "1" || strings.EqualFold(v, "true")
	}
}

// WithCacheDir sets the folder for records, locks and saved build caches. The default is
// molecule/workspace-template-build in $XDG_CACHE_HOME or ~/.cache.
func WithCacheDir(dir string) Option { return func(s *settings) { s.cacheDir = dir } }

// WithBuildCache sets where BuildKit's cache is saved for other builders and read from:
// [BuildCacheAuto], [BuildCacheOff], [BuildCacheLocal], or [BuildCacheRegistry] and a repository.
// The default is [BuildCacheAuto].
func WithBuildCache(spec string) Option { return func(s *settings) { s.buildCache = spec } }

// WithConfig sets the file with further templates. The default is
// $XDG_CONFIG_HOME/pinion/config.yaml if it exists.
func WithConfig(file string) Option { return func(s *settings) { s.config = file } }

// WithRepoPrefix sets what a known runtime's name is appended to. The default is
// [resolver.DefaultRepoPrefix].
func WithRepoPrefix(prefix string) Option { return func(s *settings) { s.prefix = prefix } }

// WithToken sets the credential for the git server in the repository prefix, and for no other. The
// default is none.
func WithToken(token string) Option { return func(s *settings) { s.token = token } }

// WithPlatform sets the platform, os/arch[/variant] or [NativePlatform]. The default is
// linux/amd64.
func WithPlatform(platform string) Option { return func(s *settings) { s.platform = platform } }

// WithAllowHTTP lets the repository prefix have the scheme http for a host other than loopback; a
// template of the config file says allow_insecure_http for itself. The default is no.
func WithAllowHTTP() Option { return func(s *settings) { s.allowHTTP = true } }

// TLS names the files for a tcp:// builder.
type TLS = buildkit.TLS

// WithBuilder names a standalone buildkitd. The default is what [WithBuildxBuilder] says.
func WithBuilder(addr string, tls TLS) Option {
	return func(s *settings) { s.addr, s.tls = addr, tls }
}

// WithBuildxBuilder names a builder of Docker's buildx, in place of a standalone buildkitd that was
// named before. The name of the Docker context in use stands for the engine's own BuildKit, as in
// buildx. The default is the builder that is selected in buildx, and if none is, the Docker
// engine's own BuildKit, or [WithStore] says which.
func WithBuildxBuilder(name string) Option {
	return func(s *settings) { s.addr, s.tls, s.builder = "", buildkit.TLS{}, name }
}

// ManagedBuilder, as an address for [WithBuilder] or in [EnvBuilder], names the builder of
// [WithManagedBuilder].
const ManagedBuilder = "managed"

// WithManagedBuilder sets what starts a BuildKit of Pinion's own, or finds the one that runs, and
// returns its address. It is asked when there is something to build and nothing sooner: if
// [ManagedBuilder] was named, or if nothing was named and the images go into a folder (see
// [WithStore]) with no engine to build them. The default is none.
func WithManagedBuilder(start func(ctx context.Context) (addr string, err error)) Option {
	return func(s *settings) { s.managed = start }
}

// StoreDocker and StoreOCI are what an image store is named by in [WithStore].
const (
	// StoreDocker is the Docker engine.
	StoreDocker = "docker"
	// StoreOCI, before a path, is a folder in the format of the OCI image layout.
	StoreOCI = "oci:"
)

// WithStore sets where images are kept: [StoreDocker], or [StoreOCI] and the path of a folder,
// which is created if it is missing. A folder needs no Docker engine, and takes images of any
// builder; where none was named, of the engine's if one answers and can, else of the managed one.
// The default is the Docker engine.
func WithStore(store string) Option { return func(s *settings) { s.store = store } }

// WithDockerHost names the engine's endpoint, as `docker --host`. The default is Docker's.
func WithDockerHost(host string) Option { return func(s *settings) { s.engine.Host = host } }

// WithDockerContext names the engine by a Docker context, as `docker --context`. The default is
// Docker's.
func WithDockerContext(name string) Option { return func(s *settings) { s.engine.Context = name } }

// WithAllowedFrontends lets `# syntax=` name these images (without tag) besides docker/dockerfile
// and those under frontends in the config file. The default is none.
func WithAllowedFrontends(images ...string) Option {
	return func(s *settings) { s.frontends = append(s.frontends, images...) }
}

// WithLockWait bounds the wait for another process that builds the same thing. The default is one
// hour.
func WithLockWait(d time.Duration) Option { return func(s *settings) { s.lockWait = d } }

// WithLogger sets where log lines go. The default is nowhere.
func WithLogger(l *slog.Logger) Option { return func(s *settings) { s.logger = l } }

// WithProgress sets who hears BuildKit's progress, by template name. It is called from one
// goroutine a build and must not block for long. The default is nobody.
func WithProgress(f func(name string, s *client.SolveStatus)) Option {
	return func(s *settings) { s.progress = f }
}

// WithMaxParallel bounds the builds and pulls that go on at once; the others queue in the order in
// which they were asked for. Hits don't wait. The default, and 0, is no bound.
func WithMaxParallel(n int) Option { return func(s *settings) { s.maxParallel = n } }

// DefaultStallAfter is how long a build may be without a sign of life.
const DefaultStallAfter = 5 * time.Minute

// WithStallAfter sets after how long without a sign of life (a step that begins or ends, a line of
// output, progress of a download, a byte delivered) a build is cancelled, with [ErrStalled]. The
// builder's export, which is silent while it works, does not count, nor does the engine's
// unpacking. 0 is never. The default is [DefaultStallAfter].
func WithStallAfter(d time.Duration) Option { return func(s *settings) { s.stallAfter = d } }

// load reads the config file and binds the tokens to their hosts.
func (s *settings) load() (resolver.Setup, error) {
	return resolver.Load(resolver.LoadConfig{
		Prefix: s.prefix, AllowHTTP: s.allowHTTP, Token: s.token, Lookup: s.lookup,
		File:     cmp.Or(s.config, xdg.ConfigFile(s.lookup, "pinion", "config.yaml")),
		Required: s.config != "",
	})
}

func (s *settings) cachePath() string {
	if s.cacheDir != "" {
		return s.cacheDir
	}
	return xdg.CacheDir(s.lookup, "molecule", "workspace-template-build")
}

// owner tells apart those who use one engine without sharing a cache folder, and so without sharing
// locks.
func (s *settings) owner() string {
	host, _ := os.Hostname() // one of several parts; an empty one is no harm
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%s", host, os.Getuid(), s.cachePath()))
	return hex.EncodeToString(sum[:4])
}
