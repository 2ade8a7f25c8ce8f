package cli

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/buildversion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/server"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/watch"
	"git.moleculesai.app/molecule-ai/pinion/internal/redact"
)

const serveLong = `Answer requests for images over HTTP, for programs in any language. docs/server.md and /openapi.yaml have the interface.

By default it listens on a unix socket that its user and group may use. On TCP, loopback included, a token of at least
16 characters is wanted of every caller; it comes from --token-file or PINION_SERVE_TOKEN. Give it TLS by a proxy.

With --watch the branches of templates are followed, by polling and by Gitea's webhooks, and a commit that is new is
built before anybody waits for it. Followed are the templates of which there is an image here, those that are asked
for while the server runs, and those named by --warm; no others, since each may take gigabytes.

On SIGTERM or Ctrl-C it takes no new builds, waits for those under way, and exits with 0. A second signal ends it at
once.`

const serveExample = `  pinion serve
  curl --unix-socket "$XDG_RUNTIME_DIR/pinion/pinion.sock" -X POST 'http://pinion/v1/images/claude-code?wait=true'
  pinion serve --listen tcp://127.0.0.1:7466 --token-file /etc/pinion/token
  pinion serve --watch --warm claude-code --hook-secret-file /etc/pinion/hook-secret --max-parallel 2`

type serveFlags struct {
	listen     string
	tokenFile  string
	drain      time.Duration
	watch      bool
	interval   time.Duration
	warm       []string
	secretFile string
	anySHA     bool
}

func (a *app) serveCommand() *cobra.Command {
	f := &serveFlags{}
	cmd := &cobra.Command{
		Use:     "serve [flags]",
		Short:   "Answer requests for images over HTTP",
		Long:    serveLong,
		Example: serveExample,
		Args:    positional(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context(), f) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.listen, "listen", "",
		"`address` to listen at: unix:///path or tcp://host:port (default "+
			"unix://$XDG_RUNTIME_DIR/pinion/pinion.sock)")
	fs.StringVar(&f.tokenFile, "token-file", "",
		"`file` with the token that callers have to send (PINION_SERVE_TOKEN)")
	fs.DurationVar(&f.drain, "drain-timeout", 30*time.Second,
		"how long requests and builds under way may go on at the end, a `duration`")
	fs.BoolVar(&f.watch, "watch", false, "build what is pushed before it is asked for")
	fs.DurationVar(&f.interval, "watch-interval", watch.DefaultInterval,
		"time between two look-ups of a branch, about, a `duration`")
	fs.StringSliceVar(&f.warm, "warm", nil, "follow the templates of these `names` from the start")
	fs.StringVar(&f.secretFile, "hook-secret-file", "",
		"`file` with the secret of Gitea's webhooks (PINION_HOOK_SECRET)")
	fs.BoolVar(&f.anySHA, "allow-any-sha", false,
		"let callers ask for commits that are not on the template's branch")
	return cmd
}

// secrets of a server; an empty one is none.
type secrets struct{ token, hook string }

// check refuses what makes no sense before anything is opened.
func (f *serveFlags) check(env environment) (s secrets, err error) {
	if f.listen == "" {
		if !filepath.IsAbs(env.runtimeDir) {
			return s,
				usage("there is no XDG_RUNTIME_DIR to put a socket into; name one by --listen " +
					"unix:///path")
		}
		f.listen = "unix://" + filepath.Join(env.runtimeDir, "pinion", "pinion.sock")
	}
	if s.token, err = secret("--token-file", f.tokenFile, pinion.EnvServeToken,
		env.serveToken); err != nil {
		return s, err
	}
	if s.hook, err = secret("--hook-secret-file", f.secretFile, pinion.EnvHookSecret,
		env.hookSecret); err != nil {
		return s, err
	}
	switch {
	case strings.HasPrefix(f.listen, "tcp://") && s.token == "":
		return s, usage("--listen %s: on TCP a token is wanted; give one by --token-file or %s",
			f.listen, pinion.EnvServeToken)
	case f.drain < 0:
		return s, usage("--drain-timeout %s is negative", f.drain)
	case f.interval < time.Second:
		return s, usage("--watch-interval %s: at least 1s", f.interval)
	case !f.watch && (len(f.warm) > 0 || f.secretFile != ""):
		return s, usage("--warm and --hook-secret-file go with --watch")
	}
	return s, nil
}

// secret is what a file holds, else a variable, without white space around it.
func secret(flag, file, variable, value string) (string, error) {
	source := variable
	if file != "" {
		source = flag
		text, err := readSmall(file)
		if err != nil {
			return "", usage("%s: %w", flag, err)
		}
		value = text
	}
	value = strings.TrimSpace(value)
	if (value != "" || file != "") && len(value) < server.MinToken {
		return "",
			usage("%s: fewer than %d characters could be guessed; `openssl rand -hex 32` makes a "+
				"good one", source, server.MinToken)
	}
	return value, nil
}

// readSmall reads at most 4 KiB.
func readSmall(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, 4<<10))
	return string(text), err
}

// shown is where a server listens, with the port that it got where it asked for any.
func shown(address string, l net.Listener) string {
	if strings.HasPrefix(address, "tcp://") {
		return "tcp://" + l.Addr().String()
	}
	return address
}

func (a *app) serve(ctx context.Context, f *serveFlags) error {
	hidden, err := f.check(a.env)
	if err != nil {
		return err
	}
	own := redact.New(slices.DeleteFunc([]string{hidden.token, hidden.hook}, func(s string) bool {
		return s == ""
	})...)
	s, err := a.open(display{})
	if err != nil {
		return err
	}
	// A build cache that is being saved at the end is given up: nobody's image depends on it.
	defer func() { _ = s.Close(ctx) }()
	inner := a.redact
	a.redact = func(text string) string { return own.String(inner(text)) }
	if unknown := unknownNames(s, f.warm); len(unknown) > 0 {
		return usage("--warm %s: not in the catalogue; known are %s", unknown[0],
			strings.Join(s.Names(), ", "))
	}
	l, err := server.Listen(f.listen)
	if err != nil {
		return err
	}
	opts := []server.Option{server.WithLogger(s.log),
		server.WithVersion(buildversion.Of(a.program.Version))}
	if hidden.token != "" {
		opts = append(opts, server.WithToken(hidden.token))
	}
	if f.anySHA {
		opts = append(opts, server.WithAnyRevision())
	}
	s.log.Info("serving at " + shown(f.listen, l))
	if !f.watch {
		return server.New(s, opts...).Serve(ctx, l, f.drain)
	}
	return a.serveAndWatch(ctx, s, f, hidden, opts, l)
}
