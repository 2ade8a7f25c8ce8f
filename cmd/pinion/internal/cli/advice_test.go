package cli

import (
	"bytes"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/exitcode"
	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
)

// situations returns the values of the constants in package errdef.
func situations(t *testing.T) (all []errdef.Situation) {
	t.Helper()
	path := filepath.Join("..", "..", "..", "..", "internal", "errdef", "situation.go")
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "Situation" {
			t.Errorf("%s has no type Situation", spec.Names[0])
		}
		for _, value := range spec.Values {
			text, err := strconv.Unquote(value.(*ast.BasicLit).Value)
			if err != nil {
				t.Error(err)
			}
			all = append(all, errdef.Situation(text))
		}
		return true
	})
	return all
}

// TestALogLineGetsAdvice for the situation that it names, and no other line does.
func TestALogLineGetsAdvice(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(adviser{slog.NewTextHandler(&out, nil)}).With("a", 1).WithGroup("g")
	log.Info("slow", slog.Any("situation", errdef.PlatformEmulated))
	log.Info("quick")
	lines := strings.Split(out.String(), "\n")
	if !strings.Contains(lines[0], "slow: --platform native sets it") ||
		!strings.Contains(lines[1], "msg=quick a=1") {
		t.Errorf("got %q", lines)
	}
}

func TestEverySituationHasAdvice(t *testing.T) {
	known := situations(t)
	if len(known) == 0 {
		t.Fatal("there are no situations")
	}
	for _, s := range known {
		if advice[s] == "" {
			t.Errorf("no advice for the situation %q", s)
		}
	}
	for s := range advice {
		if !slices.Contains(known, s) {
			t.Errorf("advice for the unknown situation %q", s)
		}
	}
}

var (
	quoted   = regexp.MustCompile("`[^`]*`")
	flagName = regexp.MustCompile(`(?:^|[\s(])--([a-z][a-z-]*)`)
)

// TestAdviceNamesWhatExists looks up the flags and verbs that the advice names. Text in backquotes
// is a command, of Pinion or of another program.
func TestAdviceNamesWhatExists(t *testing.T) {
	root := Command()
	texts := slices.Concat(slices.Collect(maps.Values(advice)),
		slices.Collect(maps.Values(adviceByCode)))
	for _, text := range texts {
		for _, command := range quoted.FindAllString(text, -1) {
			words := strings.Fields(strings.Trim(command, "`"))
			if words[0] != "pinion" {
				continue
			}
			cmd, _, err := root.Find(words[1:])
			if err != nil || cmd == root && len(words) > 1 && !strings.HasPrefix(words[1], "-") {
				t.Errorf("%q: there is no command %s", text, command)
				continue
			}
			for _, name := range flagName.FindAllStringSubmatch(command, -1) {
				if !hasFlag(cmd, name[1]) {
					t.Errorf("%q: %s has no flag --%s", text, cmd.CommandPath(), name[1])
				}
			}
		}
		for _, name := range flagName.FindAllStringSubmatch(quoted.ReplaceAllString(text, ""), -1) {
			if !slices.ContainsFunc(commands(root), func(cmd *cobra.Command) bool {
				return hasFlag(cmd, name[1])
			}) {
				t.Errorf("%q: no command has a flag --%s", text, name[1])
			}
		}
	}
}

func commands(cmd *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{cmd}
	for _, sub := range cmd.Commands() {
		all = append(all, commands(sub)...)
	}
	return all
}

func hasFlag(cmd *cobra.Command, name string) bool {
	return slices.ContainsFunc([]*pflag.FlagSet{cmd.Flags(), cmd.InheritedFlags()},
		func(fs *pflag.FlagSet) bool { return fs.Lookup(name) != nil })
}

func TestAdviceFor(t *testing.T) {
	err := errdef.In(errdef.EngineUnreachable, "", errors.New("no answer"))
	for code, also := range map[int]string{exitcode.Store: alsoDoctor, exitcode.Build: ""} {
		if got := adviceFor(code, &pinion.Error{Err: err}); got !=
			advice[errdef.EngineUnreachable]+also {
			t.Errorf("in a situation, with exit code %d: got %q", code, got)
		}
	}
	if got := adviceFor(exitcode.Store, errors.New("x")); got != runDoctor {
		t.Errorf("by the exit code: got %q", got)
	}
	if got := adviceFor(exitcode.General, errors.New("x")); got != "" {
		t.Errorf("for nothing: got %q", got)
	}
}

func TestDoctorGivesAdvice(t *testing.T) {
	err := errdef.In(errdef.EngineUnreachable, "", pinion.ErrStore)
	f := &fake{checks: []pinion.Check{{Name: "engine", Status: pinion.StatusFail,
		Detail: "no answer", Err: err}}}
	if got := call(t.Context(), f, "doctor"); got.code != exitcode.Store ||
		!strings.Contains(got.stdout, "no answer: "+advice[errdef.EngineUnreachable]) {
		t.Errorf("got %+v", got)
	}
}

// TestEveryVerbHasExamples also checks that help fits into 100 columns.
func TestEveryVerbHasExamples(t *testing.T) {
	for _, cmd := range commands(Command()) {
		if cmd.Runnable() && cmd.Example == "" {
			t.Errorf("%s has no examples", cmd.CommandPath())
		}
		for line := range strings.Lines(cmd.Long + "\n" + cmd.Example + "\n" + cmd.UsageString()) {
			if len(line) > helpColumns+1 && len(strings.Fields(line)) > 1 {
				t.Errorf("%s: %d columns: %s", cmd.CommandPath(), len(line)-1, line)
			}
		}
	}
}
