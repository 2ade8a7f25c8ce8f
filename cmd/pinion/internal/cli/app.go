package cli

import (
	"log/slog"

	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/terminal"
	"git.moleculesai.app/molecule-ai/pinion/internal/redact"
	"git.moleculesai.app/molecule-ai/pinion/internal/termtext"
)

// app is one run.
type app struct {
	program Program
	env     environment
	global  globalFlags
	redact  func(string) string
}

func newApp(p Program) *app {
	p = p.withDefaults()
	env := readEnvironment(p.Lookup)
	return &app{program: p, env: env, redact: redact.New(env.token).String}
}

// Command is the tree of commands, for whoever documents it.
func Command() *cobra.Command { return newApp(Program{}).root() }

// clean makes text from elsewhere fit to print.
func (a *app) clean(s string) string { return termtext.Sanitize(a.redact(s)) }

// session is an orchestrator and the terminal that it reports to.
type session struct {
	Orchestrator
	term *terminal.Terminal
	log  *slog.Logger
}

// open puts a session together. Nobody is contacted. Its terminal wants to be closed.
func (a *app) open(d display) (*session, error) {
	opts, err := a.global.options(a.program.Lookup, a.env)
	if err != nil {
		return nil, err
	}
	level, err := a.global.level()
	if err != nil {
		return nil, err
	}
	termOpts := []terminal.Option{terminal.WithMask(func(s string) string { return a.redact(s) })}
	if d.names {
		termOpts = append(termOpts, terminal.WithNames())
	}
	if d.mode == "" {
		d.mode = terminal.Quiet
	}
	term, err := terminal.New(a.program.Stderr, d.mode, termOpts...)
	if err != nil {
		return nil, usage("%w", err)
	}
	log := term.Logger(level)
	if d.silent {
		log = slog.New(slog.DiscardHandler)
	}
	builder, err := a.managedBuilder(func(notice string) { log.Warn(notice) })
	if err != nil {
		return nil, err
	}
	o, err := a.program.Open(append(opts, pinion.WithLogger(log),
		pinion.WithProgress(term.Progress), pinion.WithManagedBuilder(builder.Ensure))...)
	if err != nil {
		return nil, err
	}
	// Nothing has been logged so far that could hold a credential which only the config file names.
	a.redact = o.Redact
	return &session{Orchestrator: o, term: term, log: log}, nil
}

// display is what a verb shows on stderr besides errors. The zero value is log lines alone.
type display struct {
	mode   terminal.Mode
	names  bool // several builds share it
	silent bool // no log lines either
}
