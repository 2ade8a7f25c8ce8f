package cli

import (
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/buildkit"
)

// globalFlags are the flags that all verbs share.
type globalFlags struct {
	config  string
	context string
	host    string
	store   string
	addr    string
	tls     tlsFlags
	// builder is "managed", a name in buildx or empty; the others are for the managed BuildKit that
	// is started.
	builder, builderIdle, builderKeep string

	platform   string
	cache      string
	cacheDir   string
	repoPrefix string
	allowHTTP  bool
	parallel   int
	stallAfter time.Duration
	logLevel   string
	debug      bool
}

func (g *globalFlags) register(fs *pflag.FlagSet) {
	fs.StringVar(&g.config, "config", "", "`file` with further templates (PINION_CONFIG)")
	fs.StringVarP(&g.host, "host", "H", "", "Docker `endpoint`, as docker --host (DOCKER_HOST)")
	fs.StringVar(&g.context, "context", "",
		"Docker context `name`, as docker --context (DOCKER_CONTEXT)")
	fs.StringVar(&g.store, "store", "",
		"where images are kept: docker, or oci: and the path of a folder; a `place` "+
			"(PINION_STORE, default docker)")
	fs.StringVar(&g.addr, "addr", "",
		"`address` of a standalone buildkitd: unix://, tcp://, docker-container:// or ssh:// "+
			"(BUILDKIT_HOST)")
	g.tls.register(fs)
	fs.StringVar(&g.builder, "builder", "",
		"`name` of the builder in docker buildx (BUILDX_BUILDER); managed is a BuildKit of "+
			"Pinion's own, started when needed")
	fs.StringVar(&g.builderIdle, "builder-idle", "",
		"how long a managed BuildKit stays without work, a `duration`; 0 is for ever "+
			"(PINION_BUILDKIT_IDLE, default 15m)")
	fs.StringVar(&g.builderKeep, "builder-keep-storage", "",
		"build cache that a managed BuildKit keeps, a `size` (PINION_BUILDKIT_KEEP_STORAGE, "+
			"default 20GB)")
	fs.StringVar(&g.platform, "platform", "",
		"`platform` as os/arch[/variant], or native (MOLECULE_IMAGE_PLATFORM)")
	fs.StringVar(&g.cacheDir, "cache-dir", "",
		"`folder` for records, locks and saved build caches (MOLECULE_LOCAL_BUILD_CACHE)")
	fs.StringVar(&g.cache, "cache", "",
		"`where` BuildKit's cache is saved and read: auto, off, local or registry:REPOSITORY "+
			"(PINION_CACHE, default auto)")
	fs.StringVar(&g.repoPrefix, "repo-prefix", "",
		"`URL` that a runtime's name is appended to (MOLECULE_LOCAL_TEMPLATE_REPO_PREFIX)")
	fs.BoolVar(&g.allowHTTP, "allow-http", false,
		"allow http for git servers elsewhere than on this machine (PINION_ALLOW_HTTP)")
	fs.IntVar(&g.parallel, "max-parallel", 0,
		"build or pull at most `n` images at once, the others queue; 0 is no limit")
	fs.DurationVar(&g.stallAfter, "stall-after", pinion.DefaultStallAfter,
		"give a build up in which nothing moves for a `duration`; 0 is never")
	fs.StringVar(&g.logLevel, "log-level", "info",
		"`level` from which log lines are shown: "+strings.Join(logLevels(), ", "))
	fs.BoolVarP(&g.debug, "debug", "D", false, "the same as --log-level debug")
}

// options turns the environment and, after it, the flags into options.
func (g *globalFlags) options(lookup func(string) (string, bool),
	env environment) ([]pinion.Option, error) {
	if g.host != "" && g.context != "" {
		return nil, usage("--host and --context both name an engine; give one of them")
	}
	if g.parallel < 0 || g.stallAfter < 0 {
		return nil, usage("--max-parallel and --stall-after cannot be below 0")
	}
	opts := []pinion.Option{
		pinion.OptionsFromEnv(lookup), pinion.WithMaxParallel(g.parallel),
		pinion.WithStallAfter(g.stallAfter),
	}
	for _, o := range []struct {
		value string
		make  func(string) pinion.Option
	}{
		{g.config, pinion.WithConfig},
		{g.host, pinion.WithDockerHost},
		{g.context, pinion.WithDockerContext},
		{g.store, pinion.WithStore},
		{g.platform, pinion.WithPlatform},
		{g.cacheDir, pinion.WithCacheDir},
		{g.cache, pinion.WithBuildCache},
		{g.repoPrefix, pinion.WithRepoPrefix},
	} {
		if o.value != "" {
			opts = append(opts, o.make(o.value))
		}
	}
	if g.allowHTTP {
		opts = append(opts, pinion.WithAllowHTTP())
	}
	return g.chooseBuilder(opts, env)
}

func (g *globalFlags) chooseBuilder(opts []pinion.Option,
	env environment) ([]pinion.Option, error) {
	tls, err := g.tls.files()
	if err != nil {
		return nil, err
	}
	if g.builder != "" {
		if g.addr != "" || tls != (buildkit.TLS{}) {
			return nil, usage("--builder %s goes without --addr and the --tls flags", g.builder)
		}
		if g.builder == builderManaged {
			return append(opts, pinion.WithBuilder(pinion.ManagedBuilder, tls)), nil
		}
		return append(opts, pinion.WithBuildxBuilder(g.builder)), nil
	}
	addr := g.addr
	if addr == "" {
		addr = env.builder
	}
	switch {
	case addr != "":
		return append(opts, pinion.WithBuilder(addr, tls)), nil
	case tls != buildkit.TLS{}:
		return nil,
			usage("the --tls flags are for a buildkitd at a tcp:// address; name it by --addr or " +
				"BUILDKIT_HOST")
	}
	return opts, nil
}

func logLevels() []string { return []string{"debug", "info", "warn", "error"} }

func (g *globalFlags) level() (slog.Level, error) {
	if g.debug {
		return slog.LevelDebug, nil
	}
	if err := oneOf("log-level", g.logLevel, logLevels()...); err != nil {
		return 0, err
	}
	var l slog.Level
	err := l.UnmarshalText([]byte(g.logLevel))
	return l, err
}
