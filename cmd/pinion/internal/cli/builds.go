package cli

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/history"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/server"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/remote"
)

const buildsLong = `Show what was built and found: by the commands of this user on this machine, and
by a server that this user runs; or, with --server, by another server.

Each build is kept with its receipt, its steps and its log, and hits with their number, for 90 days,
up to 20,000 and 256 MB. --history or PINION_HISTORY names another folder, and off keeps nothing.`

const buildsExample = `  pinion builds ls
  pinion builds ls claude-code --kind failed --since 24h
  pinion builds logs --follow 3GZQ
  pinion builds ls --server unix:///run/pinion/pinion.sock
  pinion builds stats`

// buildsFlags choose where the builds are.
type buildsFlags struct{ server, tokenFile string }

// builds are those of this machine's history, or of a server.
type builds interface {
	List(ctx context.Context, f history.Filter) ([]history.Build, error)
	Find(ctx context.Context, prefix string) (history.Build, error)
	Events(ctx context.Context, id string, follow bool) iter.Seq2[pinion.Event, error]
}

func (a *app) buildsCommand() *cobra.Command {
	f := &buildsFlags{}
	cmd := &cobra.Command{
		Use:     "builds",
		Short:   "Show builds, their logs and statistics, and stop or repeat them",
		Long:    buildsLong,
		Example: buildsExample,
		Args:    flags.NoCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	f.register(cmd)
	cmd.AddCommand(a.buildsLsCommand(f), a.buildsShowCommand(f), a.buildsLogsCommand(f),
		a.buildsCancelCommand(f), a.buildsRetryCommand(f), a.buildsStatsCommand(f))
	return cmd
}

func (f *buildsFlags) register(cmd *cobra.Command) {
	fs := cmd.PersistentFlags()
	fs.StringVar(&f.server, "server", "",
		"`address` of a server whose builds to show: unix:///path, http://host:port or "+
			"https://host")
	fs.StringVar(&f.tokenFile, "token-file", "",
		"`file` with the server's token (PINION_SERVE_TOKEN, or PINION_OPERATOR_TOKEN)")
}

// remote returns the server that was named. Only what operators may do takes their token.
func (a *app) remote(f *buildsFlags, operate bool) (*remote.Server, error) {
	variable, value := pinion.EnvServeToken, a.env.ServeToken
	if operate && a.env.OperatorToken != "" || value == "" {
		variable, value = pinion.EnvOperatorToken, a.env.OperatorToken
	}
	token, err := flags.Secret("--token-file", f.tokenFile, variable, value, server.MinToken)
	if err != nil {
		return nil, err
	}
	s, err := remote.New(f.server, token, a.global.AllowsHTTP(a.program.Lookup))
	if err != nil {
		return nil, flags.Errorf("--server: %w", err)
	}
	return s, nil
}

// withBuilds calls do with the builds of the flags.
func (a *app) withBuilds(ctx context.Context, f *buildsFlags, do func(builds) error) error {
	if f.server != "" {
		s, err := a.remote(f, false)
		if err != nil {
			return err
		}
		return do(s)
	}
	return a.withHistory(ctx, func(d *history.Dir) error { return do(d) })
}

// withHistory calls do with this machine's history.
func (a *app) withHistory(ctx context.Context, do func(*history.Dir) error) error {
	folder := a.global.History(a.env)
	if folder == "" {
		return flags.Errorf("there is no history: it is off, or there is no home folder; use " +
			"--history DIR, or --server for that of a server")
	}
	d, err := history.Open(folder)
	if err != nil {
		return fmt.Errorf("the history of builds: %w", err)
	}
	defer d.Close()
	if err := d.Take(ctx); err != nil {
		fmt.Fprintln(a.program.Stderr, "pinion: warning: the history of builds has gaps:",
			a.clean(err.Error()))
	}
	return do(d)
}

// find returns the build whose ID begins with a text, in any case.
func find(ctx context.Context, b builds, prefix string) (history.Build, error) {
	found, err := b.Find(ctx, strings.ToUpper(prefix))
	if errors.Is(err, history.ErrNotFound) || errors.Is(err, history.ErrAmbiguous) {
		err = fmt.Errorf("%w: %q: %w; `pinion builds ls --all` lists the IDs",
			pinion.ErrNotFound, prefix, err)
	}
	return found, err
}

func oneID(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return flags.Errorf("give the ID of one build, as `pinion builds ls` prints it")
	}
	return nil
}
