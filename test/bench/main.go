// Command bench compares Pinion with what people would use instead, on real parts that it starts
// itself: Gitea, Docker engines on both image stores, and a standalone buildkitd.
//
//	go run ./test/bench [-run REGEXP] [-n RUNS] [-size MB] [-limit TIME] [-record=false]
//		[-json FILE]
//	go run ./test/bench -list | -page
//
// Each scenario is a race of two commands, or of callers of a server, the library, or what both
// rest on. They take turns, so that a slower machine slows both, and what counts is
// the ratio of their medians: seconds say more about the machine than about the programs. Both have
// the same engine, builder, template and environment, and the output of every run is checked, so
// that no run is counted that did another job than the one it was timed for.
//
// It appends what it measured to test/bench/history.jsonl, and writes docs/performance.md from that
// file. Rows that it was not asked for, or had no time for, keep their last record. A page of this
// run alone goes to stdout.
//
// Aims are printed beside the ratios and decide nothing: the exit code is 0 unless something fails
// to run. A scenario that fails does not stop the others. What this machine lacks is named and left
// out.
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
	"time"

	"git.moleculesai.app/molecule-ai/pinion/test/bench/history"
	"git.moleculesai.app/molecule-ai/pinion/test/bench/stats"
)

// options are the command line.
type options struct {
	only   *regexp.Regexp
	runs   int
	json   string
	size   int64 // bytes
	limit  time.Duration
	record bool
	list   bool
	page   bool
}

// platformSize is the size of the platform's template in MB.
const platformSize = 2000

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
	megabytes := fs.Int64("size", platformSize,
		"size of the platform's template in `MB`; another than the default is not recorded")
	fs.DurationVar(&o.limit, "limit", time.Hour, "begin no scenario after this `time`")
	fs.BoolVar(&o.record, "record", true,
		"append to "+historyFile+", and write "+pageFile+" from it")
	fs.BoolVar(&o.list, "list", false, "list the scenarios and run none")
	fs.BoolVar(&o.page, "page", false, "write "+pageFile+" from "+historyFile+" and run nothing")
	fs.StringVar(&o.json, "json", "", "write every time to a `file`")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	var err error
	if o.only, err = regexp.Compile(*pattern); err != nil {
		return o, err
	}
	o.size = *megabytes * 1_000_000
	o.record = o.record && *megabytes == platformSize
	if o.runs < 0 || o.size <= 0 || fs.NArg() > 0 {
		return o, errors.New("usage: bench [-run REGEXP] [-n RUNS] [-size MB] [-limit TIME] " +
			"[-record=false] [-json FILE] | -list | -page")
	}
	return o, nil
}

// bench runs what is asked for, and records what came of it also if something failed.
func bench(ctx context.Context, o options) (err error) {
	wanted := matching(o.only)
	if o.list {
		for _, r := range wanted {
			fmt.Printf("%s: %d runs\n", r, r.runs)
		}
		return nil
	}
	if o.page {
		return writePage()
	}
	begun := time.Now()
	commit, err := commitHere(ctx) // before the run changes files
	if err != nil {
		return err
	}
	s, err := openStage(ctx, o.size)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	p := play{stage: s, runs: o.runs, begun: begun, limit: o.limit, of: len(wanted),
		report: stats.New()}
	err = p.all(ctx, wanted)
	run := history.Run{At: p.report.When, Commit: commit, Machine: p.report.Machine,
		Versions: s.versions(context.WithoutCancel(ctx))}
	err = errors.Join(err, record(o.record, run, p.report))
	if o.json != "" {
		err = errors.Join(err, p.report.Save(o.json))
	}
	return err
}

// say reports progress on stderr; stdout is for the result.
func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
