package cli

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/internal/redact"
	pinionresolver "git.moleculesai.app/molecule-ai/pinion/resolver"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

var update = flag.Bool("update", false, "write the golden files")

// canary is the credential that must never be printed.
const canary = "s3cr3t-canary-token"

// fake is an Orchestrator with fixed results.
type fake struct {
	names   []string
	results map[string]result
	// gates hold back a name's result until they are closed.
	gates  map[string]chan struct{}
	answer pinion.Resolution
	built  []pinion.Built
	checks []pinion.Check
	pruned pinion.PruneReport
	baked  pinion.BakeFile
	usage  pinion.DiskUsage
	engine *client.Client
	// limits are the arguments of Prune.
	limits []pinion.PruneOptions
	clones []pinion.Clone // of Reset with Legacy
	// resets are the arguments of Reset.
	resets []pinion.ResetOptions
	// onReset, if set, is called by Reset.
	onReset func()
	err     error // of Resolve, List, Prune, Reset and DiskUsage

	mu        sync.Mutex
	requested []string
}

func (f *fake) Names() []string { return f.names }

func (f *fake) DockerClient() (*client.Client, error) {
	if f.engine == nil {
		return nil, &pinion.Error{Origin: pinion.OriginDocker,
			Err: fmt.Errorf("%w: no engine", pinion.ErrInvalidInput)}
	}
	return f.engine, nil
}

func (f *fake) Redact(s string) string { return redact.New(canary).String(s) }

func (f *fake) Ensure(
	ctx context.Context, name string, _ ...pinion.EnsureOption,
) (pinion.Image, error) {
	f.mu.Lock()
	f.requested = append(f.requested, name)
	f.mu.Unlock()
	if gate := f.gates[name]; gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return pinion.Image{}, ctx.Err()
		}
	}
	r, ok := f.results[name]
	if !ok {
		r.err = &pinion.Error{Name: name, Origin: pinion.OriginCatalogue,
			Err: pinion.ErrUnknownTemplate}
	}
	return r.image, r.err
}

func (f *fake) Start(context.Context, string, ...pinion.EnsureOption) (*pinion.Call, error) {
	return nil, f.err
}
func (f *fake) Templates() []pinion.Resolution { return nil }
func (f *fake) PullRequests(string) (pinion.PullRequests, bool) {
	return pinion.PullRequests{}, false
}

func (f *fake) ClosePullRequest(context.Context, string, int) error { return nil }

func (f *fake) Forge(string) (pinion.Forge, bool) { return pinion.Forge{}, false }
func (f *fake) Reload() error                     { return f.err }
func (f *fake) Ready(context.Context) error       { return f.err }
func (f *fake) Close(context.Context) error       { return nil }

func (f *fake) SaveCache(context.Context, string) error { return f.err }

func (f *fake) Resolve(context.Context, string) (pinion.Resolution, error) {
	return f.answer, f.err
}
func (f *fake) Head(ctx context.Context, name string) (pinion.Resolution, error) {
	return f.Resolve(ctx, name)
}
func (f *fake) Behind(context.Context, string, git.Revision) (pinion.Behind, error) {
	return pinion.Behind{Resolution: f.answer}, f.err
}
func (f *fake) List(context.Context) ([]pinion.Built, error) { return f.built, f.err }
func (f *fake) Inspections() pinion.Inspections              { return pinion.Inspections{} }

func (f *fake) Doctor(context.Context) []pinion.Check               { return f.checks }
func (f *fake) DiskUsage(context.Context) (pinion.DiskUsage, error) { return f.usage, f.err }

func (f *fake) Disk(context.Context) (pinion.Disk, error) {
	return pinion.Disk{Path: "/x", Images: true, Free: 10, Total: 1000}, f.err
}

func (f *fake) Prune(_ context.Context, opts pinion.PruneOptions) (pinion.PruneReport, error) {
	f.limits = append(f.limits, opts)
	f.pruned.DryRun = opts.DryRun
	return f.pruned, f.err
}

func (f *fake) Reset(_ context.Context, opts pinion.ResetOptions) (pinion.PruneReport, error) {
	f.resets = append(f.resets, opts)
	if f.onReset != nil {
		f.onReset()
	}
	report := f.pruned
	report.DryRun = opts.DryRun
	if opts.Legacy {
		report.Clones = f.clones
	}
	return report, f.err
}

func (f *fake) Bake(_ context.Context, names ...string) (pinion.BakeFile, error) {
	f.requested = append(f.requested, names...)
	return f.baked, f.err
}

// image returns a result for name.
func image(name string) pinion.Image {
	return pinion.Image{
		Schema: 1, Name: name, Mode: pinionresolver.ModeLocalBuild, Outcome: pinion.OutcomeHit,
		Reference: "molecule-local/workspace-template-" + name + ":c4ec4b2024cf",
		ID:        "sha256:" + name, Platform: "linux/amd64",
	}
}

func failed(name string, origin pinion.Origin, err error) result {
	return result{err: &pinion.Error{Name: name, Origin: origin, Err: err}}
}

// twoGood returns an orchestrator with the templates one and two.
func twoGood() *fake {
	return &fake{
		names:   []string{"one", "two"},
		results: map[string]result{"one": {image: image("one")}, "two": {image: image("two")}},
	}
}

// run is the outcome of a command line.
type run struct {
	code           int
	stdout, stderr string
}

func call(ctx context.Context, f *fake, args ...string) run {
	return callWith(ctx, f, nil, args...)
}

func callWith(ctx context.Context, f *fake, env map[string]string, args ...string) run {
	var stdout, stderr bytes.Buffer
	code := Run(ctx, program(f, env, &stdout, &stderr), args)
	return run{code, stdout.String(), stderr.String()}
}

func program(f *fake, env map[string]string, stdout, stderr *bytes.Buffer) Program {
	return Program{
		Stdout: stdout, Stderr: stderr, Version: "v1.2.3",
		Lookup: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		Open: func(...pinion.Option) (Orchestrator, error) {
			if f == nil {
				return nil, errors.New("must not be opened")
			}
			return f, nil
		},
		Now: func() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) },
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s:\n--- got\n%s\n--- want\n%s", name, got, want)
	}
}
