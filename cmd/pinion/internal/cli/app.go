package cli

import (
	"log/slog"

	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/buildversion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/daemon"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/history"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/telemetry"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/terminal"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
	"git.moleculesai.app/molecule-ai/pinion/internal/redact"
	"git.moleculesai.app/molecule-ai/pinion/internal/termtext"
)

// app is one run of the command line.
type app struct {
	program Program
	env     flags.Environment
	global  flags.Global
	redact  func(string) string
	// hidesSteps is set if the verb does not show what steps print.
	hidesSteps bool
	// leavesCache leaves the saving of build caches to other processes, for a verb that ends with
	// its builds.
	leavesCache bool
	// docker has the variables that stand for flags of Docker's own.
	docker map[string]string
	// traces is nil unless the environment asks for traces.
	traces *telemetry.Provider
}

func newApp(p Program) *app {
	p = p.withDefaults()
	env := flags.ReadEnvironment(p.Lookup)
	return &app{program: p, env: env, redact: redact.New(env.Token).String}
}

// Command returns the tree of commands, for documentation.
func Command() *cobra.Command { return newApp(Program{}).root() }

// clean removes credentials and control characters from text that comes from elsewhere.
func (a *app) clean(s string) string { return termtext.Sanitize(a.redact(s)) }

// session is an orchestrator and the terminal to which it reports. The log is that of the verb,
// which no flag but the level silences.
type session struct {
	Orchestrator
	term *terminal.Terminal
	log  *slog.Logger
	// recorder writes builds and hits into the history, which past opens. Both are nil if the verb
	// keeps none.
	recorder *history.Recorder
	past     func() (*history.Dir, error)
	// tidier prunes if the verb is a server that does.
	tidier tidier
}

// open returns a session without any network access. A caller that shows progress must close the
// session's terminal.
func (a *app) open(d flags.Display, own ...pinion.Option) (*session, error) {
	opts, err := a.global.Options(a.program.Lookup, a.env)
	if err != nil {
		return nil, err
	}
	term, log, err := a.terminal(d)
	if err != nil {
		return nil, err
	}
	libraryLog := log
	switch {
	case d.Silent:
		libraryLog = slog.New(slog.DiscardHandler)
	case d.Mode != "":
		libraryLog = slog.New(withoutResults{log.Handler()})
	}
	builder, err := a.manager(func(notice string) { libraryLog.Warn(notice) })
	if err != nil {
		return nil, err
	}
	a.hidesSteps = term.Mode() == terminal.Quiet
	a.traces = telemetry.FromEnv(a.program.Lookup, buildversion.Of(a.program.Version),
		func(text string) string { return a.redact(text) }, libraryLog)
	if a.leavesCache && a.program.Detach != nil {
		opts = append(opts, pinion.WithCacheSaver(a.startSaver))
	}
	s := &session{term: term, log: log}
	opts = append(opts, own...)
	s.Orchestrator, err = a.program.Open(append(opts, pinion.WithLogger(libraryLog),
		pinion.WithProgress(term.Progress), pinion.WithManagedBuilder(builder.Ensure),
		pinion.WithTracerProvider(a.traces.Tracers()), pinion.WithBuildObserver(s.observe),
		pinion.WithBeforeBuild(s.tidier.beforeBuild))...)
	if err != nil {
		return nil, err
	}
	// Only the config file names some credentials. Nothing logged so far could contain them.
	a.redact = s.Redact
	return s, nil
}

func (a *app) terminal(d flags.Display) (*terminal.Terminal, *slog.Logger, error) {
	level, err := a.global.Level()
	if err != nil {
		return nil, nil, err
	}
	opts := []terminal.Option{terminal.WithMask(func(s string) string { return a.redact(s) })}
	if d.Names {
		opts = append(opts, terminal.WithNames())
	}
	if d.Mode == "" {
		d.Mode = terminal.Quiet
	}
	term, err := terminal.New(a.program.Stderr, d.Mode, opts...)
	if err != nil {
		return nil, nil, flags.Errorf("%w", err)
	}
	return term, slog.New(adviser{term.Logger(level).Handler()}), nil
}

// manager returns the manager of the managed BuildKit. It reports notices to the given function.
func (a *app) manager(notice func(string)) (Manager, error) {
	opts, err := a.global.ManagedOptions(a.env)
	if err != nil {
		return nil, err
	}
	return a.program.Managed(buildversion.Of(a.program.Version),
		append(opts, daemon.WithNotice(notice))...), nil
}
