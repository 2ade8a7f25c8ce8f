package pinion

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/moby/buildkit/client"
	"go.opentelemetry.io/otel/trace"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/builder"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/docker"
	"git.moleculesai.app/molecule-ai/pinion/internal/limit"
	"git.moleculesai.app/molecule-ai/pinion/internal/recipe"
	"git.moleculesai.app/molecule-ai/pinion/internal/xdg"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

// Environment variables that [OptionsFromEnv] reads. All are optional. Docker's own (DOCKER_HOST,
// DOCKER_CONTEXT, DOCKER_CONFIG, ...) have their usual meaning.
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
	EnvIsolation  = "MOLECULE_LOCAL_IMAGE_ISOLATION"
	// EnvStallAfter and EnvTimeout are durations with their units, for example 20m.
	EnvStallAfter = "PINION_STALL_AFTER"
	EnvTimeout    = "PINION_TIMEOUT"
	// EnvStallSeconds and EnvTimeoutSeconds are the platform's names for the same, in seconds. They
	// count if the variables above are unset or blank.
	EnvStallSeconds   = "MOLECULE_BUILD_STALL_GRACE_S"
	EnvTimeoutSeconds = "MOLECULE_BUILD_CEILING_S"
	EnvBuildxBuilder  = "BUILDX_BUILDER"
)

// Environment variables with a server's secrets. The library does not read them; like the tokens,
// they are not passed on to docker buildx.
const (
	EnvServeToken    = "PINION_SERVE_TOKEN"
	EnvOperatorToken = "PINION_OPERATOR_TOKEN"
	EnvHookSecret    = "PINION_HOOK_SECRET"   //nolint:gosec // a name, not a token
	EnvNotifySecret  = "PINION_NOTIFY_SECRET" //nolint:gosec // a name, not a token
)

// NativePlatform stands for the builder's own platform.
const NativePlatform = "native"

// ManagedBuilder, as an address for [WithBuilder] or in [EnvBuilder], names the builder of
// [WithManagedBuilder].
const ManagedBuilder = "managed"

// StoreDocker and StoreOCI are the names of image stores in [WithStore].
const (
	// StoreDocker is the Docker engine.
	StoreDocker = "docker"
	// StoreOCI, before a path, is a folder in the format of the OCI image layout.
	StoreOCI = "oci:"
)

// The values of [WithBuildCache].
const (
	// BuildCacheAuto is BuildCacheLocal for a builder of its own and BuildCacheOff for a Docker
	// engine's BuildKit, which keeps its cache as long as its images.
	BuildCacheAuto = "auto"
	// BuildCacheOff neither saves nor reads anything.
	BuildCacheOff = "off"
	// BuildCacheLocal uses a folder in the cache folder.
	BuildCacheLocal = "local"
	// BuildCacheRegistry, before a repository's name without tag, uses a registry, for example
	// registry:registry.example.com/build-cache.
	BuildCacheRegistry = "registry:"
)

// DefaultStallAfter is how long a build may go on without any progress.
const DefaultStallAfter = 5 * time.Minute

// Option adjusts an [Orchestrator].
type Option func(*settings)

type settings struct {
	lookup    func(string) (string, bool)
	prefix    string
	token     string
	config    string
	allowHTTP bool
	cacheDir  string
	platform  string
	isolation string
	addr      string
	tls       buildkit.TLS
	builder   string // its name in buildx
	managed   func(context.Context) (addr string, err error)
	engine    docker.Config
	store     string
	frontends []string
	lockWait  time.Duration
	noSummary bool
	logger    *slog.Logger
	progress  func(name string, s *client.SolveStatus)
	observe   func(*Build)
	saver     func(ctx context.Context, key string) error // nil for this process
	spans     trace.TracerProvider                        // nil for that of each call's context
	// beforeBuild returns the text of a notice, or "".
	beforeBuild func(ctx context.Context, name string) (notice string)
	remembers   bool // inspections
	maxParallel int
	buildCache  string
	stallAfter  limit.Limit
	timeout     limit.Limit
}

func defaults() settings {
	return settings{
		lookup:      func(string) (string, bool) { return "", false },
		prefix:      resolver.DefaultRepoPrefix,
		platform:    recipe.DefaultPlatform,
		lockWait:    time.Hour,
		buildCache:  BuildCacheAuto,
		logger:      slog.New(slog.DiscardHandler),
		progress:    func(string, *client.SolveStatus) {},
		observe:     func(*Build) {},
		beforeBuild: func(context.Context, string) string { return "" },
		stallAfter:  limit.Limit{Duration: DefaultStallAfter},
	}
}

// OptionsFromEnv takes the settings from the environment by way of lookup, os.LookupEnv in
// practice. An option after it overrides it. Without it nothing is read from the environment.
func OptionsFromEnv(lookup func(string) (string, bool)) Option {
	return func(s *settings) {
		s.lookup = lookup
		for name, to := range map[string]*string{
			EnvRepoPrefix: &s.prefix, EnvToken: &s.token, EnvCacheDir: &s.cacheDir,
			EnvPlatform: &s.platform, EnvConfig: &s.config, EnvBuilder: &s.addr,
			EnvBuildxBuilder: &s.builder, EnvStore: &s.store, EnvBuildCache: &s.buildCache,
			EnvIsolation: &s.isolation,
		} {
			if v, ok := lookup(name); ok && strings.TrimSpace(v) != "" {
				*to = v
			}
		}
		s.token = strings.TrimSpace(s.token)
		if l, ok := limit.FromEnv(lookup, EnvStallAfter, EnvStallSeconds); ok {
			s.stallAfter = l
		}
		if l, ok := limit.FromEnv(lookup, EnvTimeout, EnvTimeoutSeconds); ok {
			s.timeout = l
		}
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

// WithIsolation sets a token that keeps the images apart from those of other tokens, so that
// parallel jobs on one engine or in one cache folder do not meet: it is part of the keys and so of
// records, locks and labels, it ends each tag with --token, also that of a push, and
// [Orchestrator.List], [Orchestrator.Prune] and [Orchestrator.DiskUsage] consider images of the
// same token alone. A token has at most 32 lower-case letters and digits, with single dots, dashes
// or underscores between them. The default is none, and blanks count as none.
func WithIsolation(token string) Option { return func(s *settings) { s.isolation = token } }

// WithAllowHTTP allows the repository prefix to have the scheme http for a host other than
// loopback; a template of the config file says allow_insecure_http for itself. The default is no.
func WithAllowHTTP() Option { return func(s *settings) { s.allowHTTP = true } }

// TLS names the files for a tcp:// builder.
type TLS = buildkit.TLS

// WithBuilder names a standalone buildkitd. The default is that of [WithBuildxBuilder].
func WithBuilder(addr string, tls TLS) Option {
	return func(s *settings) { s.addr, s.tls = addr, tls }
}

// WithBuildxBuilder names a builder of Docker's buildx, in place of a standalone buildkitd that was
// named before. The name of the Docker context in use stands for the engine's own BuildKit, as in
// buildx. The default is the builder that is selected in buildx, otherwise the Docker engine's own
// BuildKit, or the one that [WithStore] describes.
func WithBuildxBuilder(name string) Option {
	return func(s *settings) { s.addr, s.tls, s.builder = "", buildkit.TLS{}, name }
}

// WithManagedBuilder sets what starts a BuildKit of Pinion's own, or finds the one that runs, and
// returns its address. It is called when there is something to build: if [ManagedBuilder] was
// named, or if nothing was named and the images go into a folder (see [WithStore]) with no engine
// to build them. The default is none.
func WithManagedBuilder(start func(ctx context.Context) (addr string, err error)) Option {
	return func(s *settings) { s.managed = start }
}

// WithStore sets where images are kept: [StoreDocker], or [StoreOCI] and the path of a folder,
// which is created if it is missing. A folder needs no Docker engine, and takes images of any
// builder: if none was named, of the engine that answers and can build for it, otherwise of the
// managed one. The default is the Docker engine.
func WithStore(store string) Option { return func(s *settings) { s.store = store } }

// WithDockerHost names the engine's endpoint, in the form of DOCKER_HOST. The default is Docker's.
func WithDockerHost(host string) Option { return func(s *settings) { s.engine.Host = host } }

// WithDockerContext names the engine by a Docker context. The default is Docker's.
func WithDockerContext(name string) Option { return func(s *settings) { s.engine.Context = name } }

// WithAllowedFrontends allows `# syntax=` to name these images (without tag) besides
// docker/dockerfile and those under frontends in the config file. The default is none.
func WithAllowedFrontends(images ...string) Option {
	return func(s *settings) { s.frontends = append(s.frontends, images...) }
}

// WithLockWait bounds the wait for another process that builds the same thing. The default is one
// hour.
func WithLockWait(d time.Duration) Option { return func(s *settings) { s.lockWait = d } }

// WithLogger sets where log lines go. The default is nowhere.
func WithLogger(l *slog.Logger) Option { return func(s *settings) { s.logger = l } }

// WithoutSummaryLine leaves out the line "Provisioner: ..." that ends each call that has an image,
// for programs that log one of their own.
func WithoutSummaryLine() Option { return func(s *settings) { s.noSummary = true } }

// WithProgress registers f for BuildKit's progress, by template name. f is called from one
// goroutine a build and must not block for long. The default is none.
func WithProgress(f func(name string, s *client.SolveStatus)) Option {
	return func(s *settings) { s.progress = f }
}

// WithBuildObserver registers f for each build, pull, save and hit as it begins; a hit has ended.
// Calls that share a build are one. f is called on the goroutine of the call that begins it, so it
// must return at once; it may keep the build and read its events elsewhere. The default is none.
func WithBuildObserver(f func(*Build)) Option { return func(s *settings) { s.observe = f } }

// WithTracerProvider sets what makes the spans of calls. The default is the provider of the span in
// a call's context, if that is recorded. Spans are children of that span in either case.
func WithTracerProvider(p trace.TracerProvider) Option { return func(s *settings) { s.spans = p } }

// WithBeforeBuild registers f, which runs before each build or pull, when that has its place in the
// queue, and delays it. A text that f returns becomes an [EventNotice]. The default is none.
func WithBeforeBuild(f func(ctx context.Context, name string) (notice string)) Option {
	return func(s *settings) { s.beforeBuild = f }
}

// WithMaxParallel bounds the builds and pulls that run at once; the others queue in the order in
// which they were asked for. Hits don't wait. The default, and 0, is no bound.
func WithMaxParallel(n int) Option { return func(s *settings) { s.maxParallel = n } }

// WithStallAfter sets after how long without progress a build, a pull or a push is cancelled, with
// [ErrStalled]. Progress is a step that begins or ends, a line of output, progress of a download or
// an upload, or a byte delivered. The builder's export, which is silent while it works, does not
// count, nor does the engine's unpacking. 0 is never. The default is [DefaultStallAfter].
func WithStallAfter(d time.Duration) Option {
	return func(s *settings) { s.stallAfter = limit.Of("the time without progress", d) }
}

// WithTimeout sets after how long a build is cancelled with [ErrTimeLimit], whether it makes
// progress or not. The time is that of the builder, from the fetch to the delivery: it does not
// include the wait for other builds. A template's own timeout in the config file takes precedence.
// The default, and 0, is no limit.
func WithTimeout(d time.Duration) Option {
	return func(s *settings) { s.timeout = limit.Of("the time limit", d) }
}

// checkLimits returns the error of a time limit that makes no sense.
func (s settings) checkLimits() error {
	if err := cmp.Or(s.stallAfter.Err, s.timeout.Err); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalidInput, err)
	}
	return nil
}

// parseStore reads the value of [WithStore]. dir is the folder if it is one.
func parseStore(s string) (dir string, isFolder bool, err error) {
	dir, isFolder = strings.CutPrefix(s, StoreOCI)
	if isFolder && strings.TrimSpace(dir) != "" || !isFolder && (s == "" || s == StoreDocker) {
		return dir, isFolder, nil
	}
	return "", false,
		fmt.Errorf("%w: image store %q: write %s for the Docker engine, or %sDIR for "+
			"a folder", ErrInvalidInput, s, StoreDocker, StoreOCI)
}

// loadCatalogue reads the config file and collects the credentials.
func (s settings) loadCatalogue() (resolver.Setup, error) {
	return resolver.Load(resolver.LoadConfig{
		Prefix: s.prefix, AllowHTTP: s.allowHTTP, Token: s.token, Lookup: s.lookup,
		File: s.configPath(), Required: s.config != "",
	})
}

func (s settings) configPath() string {
	return cmp.Or(s.config, xdg.ConfigFile(s.lookup, "pinion", "config.yaml"))
}

func (s settings) cachePath() string {
	return cmp.Or(s.cacheDir, xdg.CacheDir(s.lookup, "molecule", "workspace-template-build"))
}

func (s settings) engineConfig() docker.Config {
	c := s.engine
	c.Lookup = s.lookup
	return c
}

// builderConfig returns which builder was named. buildx sees no secret of Pinion's own, including
// those that a config file names or has named.
func (s settings) builderConfig(variables func() []string) builder.Config {
	c := builder.Config{
		Lookup: s.lookup, Addr: s.addr, TLS: s.tls, Name: s.builder, Engine: s.engineConfig(),
		StartManaged: s.managed, Secrets: func() []string {
			return append([]string{EnvToken, EnvServeToken, EnvOperatorToken, EnvHookSecret,
				EnvNotifySecret}, variables()...)
		},
	}
	if s.addr == ManagedBuilder {
		c.Addr, c.UseManaged = "", true
	}
	return c
}
