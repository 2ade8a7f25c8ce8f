package cli

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/buildversion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/server"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/tidy"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/watch"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
	"git.moleculesai.app/molecule-ai/pinion/internal/redact"
)

const serveLong = `Serve images over HTTP, for programs in any language. docs/server.md and
/openapi.yaml describe the interface.

By default the server listens on a unix socket that its user and group may use. On TCP, including
loopback, every caller must send a token of at least 16 characters, from --token-file or
PINION_SERVE_TOKEN; if the server also has a socket, callers there must send it as well. With
--tokens-file callers have tokens of their own, with rights, templates and limits. --tls-cert and
--tls-key encrypt TCP, and --tls-client-ca requires certificates of callers there.

With --watch the server follows the branches of templates, by polling and by the webhooks of Gitea,
Forgejo, GitHub, GitLab and Bitbucket, and builds new commits before they are requested. It follows
templates that have an image, templates that are requested while it runs, and those of --warm. It
follows no others, because each may take gigabytes. Of templates whose entry in the config file has
pull_requests it also builds the pull requests that webhooks report. If the config file has a token
for that, the server sets the commit's status at the forge.

With --notify-url the server sends a signed webhook for each build that was built, failed or was
superseded. docs/forges.md has the setup of all of these.

With --prune the server removes old images by itself: at each --prune-interval what "pinion prune"
with the same flags would remove, and when more than --disk-high of the images' disk is in use, the
oldest images until it is --disk-low. It looks at the disk each minute and before each build. The
newest image of each template stays, and so does all that a container or a build uses.

With --idle-exit the server ends by itself, with 0, after that time without a request or a build.
Programs that start a server when they need one use it.

In registry mode --watch follows the tag in the registry instead, and pulls what it comes to name.

On SIGHUP the server reads the config file again. If an entry of the new one is wrong, it goes on
with the one before and logs the entry.

On SIGTERM or Ctrl-C the server accepts no new builds, waits for those in progress, and exits with
0. A second signal ends it at once.`

const serveExample = `  pinion serve
  curl --unix-socket "$XDG_RUNTIME_DIR/pinion/pinion.sock" -X POST \
    'http://pinion/v1/images/claude-code?wait=1h'
  pinion serve --listen tcp://127.0.0.1:7466 --token-file /etc/pinion/token
  pinion serve --watch --warm claude-code --hook-secret-file /etc/pinion/hook-secret`

type serveFlags struct {
	listen    []string
	tokenFile string
	// operatorFile has the token of operators.
	operatorFile string
	drain        time.Duration
	idleExit     time.Duration
	linger       time.Duration
	watch        bool
	interval     time.Duration
	warm         []string
	secretFile   string
	anySHA       bool
	prune        servePruneFlags
	reports      reportFlags
	access       accessFlags
}

func (a *app) serveCommand() *cobra.Command {
	f := &serveFlags{}
	cmd := &cobra.Command{
		Use:     "serve [flags]",
		Short:   "Serve images over HTTP",
		Long:    serveLong,
		Example: serveExample,
		Args:    flags.Positional(cobra.NoArgs),
	}
	cmd.RunE = func(*cobra.Command, []string) error {
		pruning, err := f.prune.check(cmd.Flags().Changed)
		if err != nil {
			return err
		}
		return a.serve(cmd.Context(), f, pruning)
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringArrayVar(&f.listen, "listen", nil,
		"`address` to listen on: unix:///path, tcp://host:port, or fd:// for the sockets of "+
			"systemd; may be repeated (default unix://$XDG_RUNTIME_DIR/pinion/pinion.sock)")
	fs.StringVar(&f.tokenFile, "token-file", "",
		"`file` with the token that callers must send (PINION_SERVE_TOKEN)")
	fs.StringVar(&f.operatorFile, "operator-token-file", "",
		"`file` with the token of operators, who may also cancel the builds of others "+
			"(PINION_OPERATOR_TOKEN)")
	f.access.register(fs)
	fs.DurationVar(&f.drain, "drain-timeout", 30*time.Second,
		"`duration` for which requests and builds in progress may continue at the end")
	fs.DurationVar(&f.idleExit, "idle-exit", 0,
		"end after this `duration` without a request or a build; 0 means never")
	fs.DurationVar(&f.linger, "linger", 2*time.Minute,
		"`duration` for which a build goes on after its last waiting caller was cut off; 0 means "+
			"not at all")
	fs.BoolVar(&f.watch, "watch", false, "build new commits before they are requested")
	fs.DurationVar(&f.interval, "watch-interval", watch.DefaultInterval,
		"approximate `duration` between two look-ups of a branch")
	fs.StringSliceVar(&f.warm, "warm", nil, "`names` of templates to follow from the start")
	_ = cmd.RegisterFlagCompletionFunc("warm", a.completeNames(0))
	fs.StringVar(&f.secretFile, "hook-secret-file", "",
		"`file` with the secret of the forges' webhooks (PINION_HOOK_SECRET)")
	f.reports.add(fs)
	fs.BoolVar(&f.anySHA, "allow-any-sha", false,
		"allow requests for commits that are not on the template's branch")
	f.prune.register(fs)
	return cmd
}

// secrets of a server. An empty one is unset.
type secrets struct{ token, operator, hook, notify string }

// check rejects wrong flags, and returns the secrets.
func (f *serveFlags) check(env flags.Environment) (s secrets, err error) {
	if len(f.listen) == 0 {
		socket, err := usualSocket(env, "--listen")
		if err != nil {
			return s, err
		}
		f.listen = []string{socket}
	}
	for _, address := range f.listen {
		if err := server.CheckAddress(address); err != nil {
			return s, flags.Errorf("--listen: %v", err)
		}
	}
	if s.token, err = flags.Secret("--token-file", f.tokenFile, pinion.EnvServeToken,
		env.ServeToken, server.MinToken); err != nil {
		return s, err
	}
	if s.operator, err = flags.Secret("--operator-token-file", f.operatorFile,
		pinion.EnvOperatorToken, env.OperatorToken, server.MinToken); err != nil {
		return s, err
	}
	if s.hook, err = flags.Secret("--hook-secret-file", f.secretFile, pinion.EnvHookSecret,
		env.HookSecret, server.MinToken); err != nil {
		return s, err
	}
	if s.notify, err = f.reports.check(env); err != nil {
		return s, err
	}
	if err := f.access.check(); err != nil {
		return s, err
	}
	i, required := slices.IndexFunc(f.listen, isTCP), s.token != "" || f.access.tokens != ""
	switch {
	case s.operator != "" && !required:
		return s, flags.Errorf("--operator-token-file needs --token-file or --tokens-file: " +
			"without them everybody is an operator")
	case i >= 0 && !required:
		return s, tokenMissing(f.listen[i])
	case f.drain < 0:
		return s, flags.Errorf("--drain-timeout %s is negative", f.drain)
	case f.linger < 0:
		return s, flags.Errorf("--linger %s is negative", f.linger)
	case f.idleExit < 0:
		return s, flags.Errorf("--idle-exit %s is negative", f.idleExit)
	case f.idleExit > 0 && f.watch:
		return s, flags.Errorf("--idle-exit and --watch exclude each other: a server that " +
			"watches is never idle")
	case f.interval < time.Second:
		return s, flags.Errorf("--watch-interval %s: use at least 1s", f.interval)
	case !f.watch && (len(f.warm) > 0 || f.secretFile != ""):
		return s, flags.Errorf("--warm and --hook-secret-file need --watch")
	}
	return s, nil
}

func (a *app) serve(ctx context.Context, f *serveFlags, pruning tidy.Config) error {
	hidden, err := f.check(a.env)
	if err != nil {
		return err
	}
	own := redact.New(slices.DeleteFunc(
		[]string{hidden.token, hidden.operator, hidden.hook, hidden.notify, f.reports.notifyURL},
		func(s string) bool { return s == "" },
	)...)
	s, err := a.open(flags.Display{}, pinion.WithRememberedInspections())
	if err != nil {
		return err
	}
	// An unfinished save of a build cache is abandoned. No image depends on it.
	defer func() { _ = s.Close(ctx) }()
	defer a.recordServer(ctx, s)()
	inner := a.redact
	a.redact = func(text string) string { return own.String(inner(text)) }
	if unknown := unknownNames(s.Names(), f.warm); len(unknown) > 0 {
		return flags.Errorf("--warm %s: not in the catalogue; known names are %s", unknown[0],
			strings.Join(s.Names(), ", "))
	}
	listeners, err := a.listenAll(f, hidden.token != "" || f.access.tokens != "", s.log)
	if err != nil {
		return err
	}
	opts, err := f.access.callers(hidden, s.log)
	if err != nil {
		return errors.Join(err, closeAll(listeners))
	}
	opts = append(opts, server.WithLogger(s.log), server.WithLinger(f.linger),
		server.WithVersion(buildversion.Of(a.program.Version)),
		server.WithInspections(s.Inspections))
	if s.past != nil {
		if past, err := s.past(); err == nil { // the recorder says what is wrong
			opts = append(opts, server.WithHistory(past))
		}
	}
	reports, endReports := f.reports.start(s, hidden.notify, f.watch)
	defer endReports()
	opts = append(opts, reports...)
	if f.idleExit > 0 {
		opts = append(opts, server.WithIdleExit(f.idleExit))
	}
	if f.anySHA {
		opts = append(opts, server.WithAnyRevision())
	}
	shown, stopPruning := s.tidier.start(ctx, s, pruning)
	defer stopPruning()
	opts = append(opts, shown...)
	reportState(a.env.NotifySocket, "READY=1", s.log)
	defer reportState(a.env.NotifySocket, "STOPPING=1", s.log)
	defer warnUnready(ctx, s)()
	if !f.watch {
		defer s.reloads(ctx, func() {})()
		return server.New(s, opts...).Serve(ctx, f.drain, listeners...)
	}
	return a.serveAndWatch(ctx, s, f, hidden, opts, listeners)
}
