// Command demo shows Pinion's main job on real parts: it starts a git server with a small template,
// ensures the template's image twice by the command line, and prints both receipts. The demo
// fails unless the first was built and the second was a hit.
//
// It uses the Docker engine that answers. Where none does, a BuildKit of Pinion's own builds into a
// folder, which takes root on Linux. Nothing is left behind, except for what the engine's builder
// keeps in its cache.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := demo(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		stop()
		os.Exit(1)
	}
}

func demo(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "pinion-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	p, err := findPlace(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	say("images", "in %s", p.what)

	t, err := serveTemplate(ctx, dir, p.arch)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	say("template", "%s at commit %.12s", t.repo, t.revision)

	cli, err := buildCLI(ctx, dir, p, t)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cli.close()) }()
	return cli.ensureTwice(ctx)
}

// ensureTwice is the demo proper.
func (c *cli) ensureTwice(ctx context.Context) (err error) {
	var last receipt
	defer func() { err = errors.Join(err, c.place.forget(last)) }()
	for _, want := range []string{"built", "hit"} {
		start := time.Now()
		if last, err = c.ensure(ctx); err != nil {
			return err
		}
		say(last.Outcome, "after %s", time.Since(start).Round(time.Millisecond))
		if last.Outcome != want {
			return fmt.Errorf("the outcome is %q and should be %q", last.Outcome, want)
		}
	}
	return nil
}

func say(what, format string, args ...any) {
	fmt.Printf("%-10s %s\n", what, fmt.Sprintf(format, args...))
}
