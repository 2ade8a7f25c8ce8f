package flags

import (
	"cmp"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/buildkit"
)

// Global holds the flags that all verbs share. The zero value is not usable before Register.
type Global struct {
	// LogLevel and Debug may be set after parsing, by Docker's own flags.
	LogLevel string
	Debug    bool

	config  string
	context string
	host    string
	store   string
	addr    string
	tls     tlsFlags
	// builder is "managed", a name in buildx or empty. builderIdle and builderKeep are settings of
	// the managed BuildKit.
	builder, builderIdle, builderKeep string

	platform   string
	isolation  string
	cache      string
	cacheDir   string
	history    string
	repoPrefix string
	allowHTTP  bool
	parallel   int
	stallAfter time.Duration
	timeout    time.Duration
	// isSet reports whether a flag was set explicitly.
	isSet func(name string) bool
	all   *pflag.FlagSet
}

// Args returns the flags that were set explicitly, as arguments for another process.
func (g *Global) Args() (args []string) {
	g.all.VisitAll(func(f *pflag.Flag) {
		if f.Changed {
			args = append(args, "--"+f.Name+"="+f.Value.String())
		}
	})
	return args
}

// Register adds the flags to the root command.
func (g *Global) Register(cmd *cobra.Command) {
	fs := cmd.PersistentFlags()
	g.isSet, g.all = fs.Changed, fs
	fs.StringVar(&g.config, "config", "",
		"`file` with further templates and credentials (PINION_CONFIG)")
	fs.StringVarP(&g.host, "host", "H", "",
		"Docker `endpoint`, as for docker --host (DOCKER_HOST)")
	fs.StringVar(&g.context, "context", "",
		"`name` of a Docker context, as for docker --context (DOCKER_CONTEXT)")
	fs.StringVar(&g.store, "store", "",
		"`place` of images: docker, or oci:DIR for a folder (PINION_STORE, default docker)")
	g.registerBuilder(fs)
	fs.StringVar(&g.platform, "platform", "",
		"`platform` as os/arch[/variant], or native (MOLECULE_IMAGE_PLATFORM)")
	fs.StringVar(&g.isolation, "isolation", "",
		"`token` that keeps images apart from those of other tokens "+
			"(MOLECULE_LOCAL_IMAGE_ISOLATION)")
	fs.StringVar(&g.cacheDir, "cache-dir", "",
		"`folder` for records, locks and saved build caches (MOLECULE_LOCAL_BUILD_CACHE)")
	fs.StringVar(&g.history, "history", "",
		"`folder` of the history of builds, or off (PINION_HISTORY)")
	fs.StringVar(&g.cache, "cache", "",
		"`place` of saved build caches: auto, off, local or registry:REPOSITORY (PINION_CACHE, "+
			"default auto)")
	fs.StringVar(&g.repoPrefix, "repo-prefix", "",
		"`URL` prefix of the repositories, to which a template's name is appended "+
			"(MOLECULE_LOCAL_TEMPLATE_REPO_PREFIX)")
	fs.BoolVar(&g.allowHTTP, "allow-http", false,
		"allow a repository prefix or a --server with http on another machine "+
			"(PINION_ALLOW_HTTP)")
	fs.IntVar(&g.parallel, "max-parallel", 0,
		"build or pull at most `n` images at once and queue the others; 0 means no limit")
	fs.DurationVar(&g.stallAfter, "stall-after", pinion.DefaultStallAfter,
		"stop a build, pull or push without progress for this `duration`; 0 means never "+
			"(PINION_STALL_AFTER)")
	fs.DurationVar(&g.timeout, "timeout", 0,
		"stop a build that takes longer than this `duration`; 0 means never (PINION_TIMEOUT)")
	fs.StringVar(&g.LogLevel, "log-level", "info",
		"lowest `level` of log lines to print: "+strings.Join(logLevels(), ", "))
	fs.BoolVarP(&g.Debug, "debug", "D", false, "same as --log-level debug")
	CompleteChoices(cmd, "log-level", logLevels()...)
	CompleteChoices(cmd, "cache", "auto", "off", "local", "registry:")
	CompleteChoices(cmd, "platform", pinion.NativePlatform, "linux/amd64", "linux/arm64")
	_ = cmd.RegisterFlagCompletionFunc("store", completeStore)
}

func (g *Global) registerBuilder(fs *pflag.FlagSet) {
	fs.StringVar(&g.addr, "addr", "",
		"`address` of a standalone buildkitd: unix://, tcp://, docker-container:// or ssh:// "+
			"(BUILDKIT_HOST)")
	g.tls.register(fs)
	fs.StringVar(&g.builder, "builder", "",
		"`name` of a docker buildx builder (BUILDX_BUILDER), or managed for Pinion's own "+
			"BuildKit, which is started if it is not running")
	fs.StringVar(&g.builderIdle, "builder-idle", "",
		"`duration` for which the managed BuildKit stays without work; 0 means forever "+
			"(PINION_BUILDKIT_IDLE, default 15m)")
	fs.StringVar(&g.builderKeep, "builder-keep-storage", "",
		"`size` of the build cache that the managed BuildKit keeps "+
			"(PINION_BUILDKIT_KEEP_STORAGE, default 20GB)")
}

// Options returns the options that the environment and the flags describe. A flag takes precedence
// over its variable.
func (g *Global) Options(
	lookup func(string) (string, bool), env Environment,
) ([]pinion.Option, error) {
	if g.host != "" && g.context != "" {
		return nil, Errorf("--host and --context both choose an engine; use one of them")
	}
	if g.parallel < 0 || g.stallAfter < 0 || g.timeout < 0 {
		return nil, Errorf("--max-parallel, --stall-after and --timeout cannot be negative")
	}
	opts := []pinion.Option{
		pinion.OptionsFromEnv(lookup), pinion.WithMaxParallel(g.parallel),
	}
	// 0 is a value, so a flag that is not set must not replace its variable.
	if g.isSet("stall-after") {
		opts = append(opts, pinion.WithStallAfter(g.stallAfter))
	}
	if g.isSet("timeout") {
		opts = append(opts, pinion.WithTimeout(g.timeout))
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
		{g.isolation, pinion.WithIsolation},
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

// chooseBuilder adds the option that chooses the builder.
func (g *Global) chooseBuilder(opts []pinion.Option, env Environment) ([]pinion.Option, error) {
	tls, err := g.tls.files()
	if err != nil {
		return nil, err
	}
	if g.builder != "" {
		if g.addr != "" || tls != (buildkit.TLS{}) {
			return nil, Errorf("--builder %s excludes --addr and the --tls flags", g.builder)
		}
		if g.builder == Managed {
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
			Errorf("the --tls flags need a buildkitd at a tcp:// address; set --addr or " +
				"BUILDKIT_HOST")
	}
	return opts, nil
}

// History returns the folder of the history of builds. It is "" if there is to be none.
func (g *Global) History(env Environment) string {
	if folder := cmp.Or(g.history, env.History); folder != HistoryOff {
		return folder
	}
	return ""
}

// AllowsHTTP reports whether other machines may be spoken to without TLS.
func (g *Global) AllowsHTTP(lookup func(string) (string, bool)) bool {
	v, _ := lookup(pinion.EnvAllowHTTP)
	return g.allowHTTP || isOn(v)
}

// isOn reports whether the value of a variable stands for yes.
func isOn(v string) bool { return v == "1" || strings.EqualFold(v, "true") }

func logLevels() []string { return []string{"debug", "info", "warn", "error"} }

// Level returns the lowest level of log lines to print.
func (g *Global) Level() (slog.Level, error) {
	if g.Debug {
		return slog.LevelDebug, nil
	}
	if err := OneOf("log-level", g.LogLevel, logLevels()...); err != nil {
		return 0, err
	}
	var l slog.Level
	err := l.UnmarshalText([]byte(g.LogLevel))
	return l, err
}
