// Command bench compares Pinion with what people would use instead, on real parts that it starts
// itself: Gitea, Docker engines on both image stores, and a standalone buildkitd.
//
//	go run ./test/bench [-run REGEXP] [-n RUNS] [-size MB] [-json FILE]
//
// Each scenario is a race of two commands, or of callers of a server, the library, or what both
// rest on. They take turns, so that a slower machine slows both, and what counts is
// the ratio of their medians: seconds say more about the machine than about the programs. Both have
// the same engine, builder, template and environment, and the output of every run is checked, so
// that no run is counted that did another job than the one it was timed for.
//
// Aims are printed beside the ratios and decide nothing: the exit code is 0 unless something fails
// to run. What this machine lacks is named and left out.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"

	"git.moleculesai.app/molecule-ai/pinion/test/bench/stats"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// options are the command line.
type options struct {
	only *regexp.Regexp
	runs int
	json string
	size int64 // bytes
}

func main() {
	opts, err := parse(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(64)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err = bench(ctx, opts)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	var o options
	fs := flag.NewFlagSet("bench", flag.ExitOnError)
	pattern := fs.String("run", "",
		"run the scenarios alone whose name, such as hit/docker29-classic, matches this `regexp`")
	fs.IntVar(&o.runs, "n", 0,
		"count this many `runs` of each command (default: as the scenario says)")
	megabytes := fs.Int64("size", 2000, "size of the platform's template in `MB`")
	fs.StringVar(&o.json, "json", "", "write every time to a `file`")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	var err error
	if o.only, err = regexp.Compile(*pattern); err != nil {
		return o, err
	}
	o.size = *megabytes * 1_000_000
	if o.runs < 0 || o.size <= 0 || fs.NArg() > 0 {
		return o, errors.New("usage: bench [-run REGEXP] [-n RUNS] [-size MB] [-json FILE]")
	}
	return o, nil
}

// bench runs the scenarios engine by engine: no engine is up while another one is measured.
func bench(ctx context.Context, o options) (err error) {
	s, err := openStage(ctx, o.size)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	report := stats.New()
	for _, flavour := range parts.Flavours() {
		if err := s.play(ctx, flavour, o, &report); err != nil {
			return fmt.Errorf("%s: %w", flavour, err)
		}
	}
	report.Markdown(os.Stdout)
	if o.json == "" {
		return nil
	}
	return report.Save(o.json)
}

// say reports progress on stderr; stdout is for the result.
func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
