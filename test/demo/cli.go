package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// cli is the command line as a user has it, with a catalogue and a cache of the demo's own.
type cli struct {
	place   *place
	program string
	config  string
	env     []string
}

// receipt is the part of an answer that the demo looks at.
type receipt struct{ Outcome, Reference string }

func buildCLI(ctx context.Context, dir string, p *place, t *template) (*cli, error) {
	c := &cli{place: p, program: filepath.Join(dir, "pinion"),
		config: filepath.Join(dir, "pinion.yaml")}
	if err := goBuild(ctx, c.program, "./cmd/pinion"); err != nil {
		return nil, err
	}
	if p.engine == nil {
		if err := goBuild(ctx, filepath.Join(dir, "pinion-buildkitd"),
			"./cmd/pinion-buildkitd"); err != nil {
			return nil, err
		}
	}
	catalogue := fmt.Sprintf("templates:\n  - name: %s\n    repo: %s\n", name, t.repo)
	if err := os.WriteFile(c.config, []byte(catalogue), 0o600); err != nil {
		return nil, err
	}
	c.env = append(environment(), "MOLECULE_LOCAL_BUILD_CACHE="+filepath.Join(dir, "cache"),
		"PINION_WAIT_CACHE=1", // the folder is removed at the end
		"PINION_HISTORY="+filepath.Join(dir, "history"))
	c.env = append(c.env, p.env...)
	return c, nil
}

// environment is the user's without what would send Pinion to another registry, builder or
// catalogue.
func environment() []string {
	var env []string
	for _, entry := range os.Environ() {
		key, _, _ := strings.Cut(entry, "=")
		switch {
		case strings.HasPrefix(key, "MOLECULE_"), strings.HasPrefix(key, "PINION_"):
		case key == "BUILDKIT_HOST", key == "BUILDX_BUILDER":
		default:
			env = append(env, entry)
		}
	}
	return env
}

// ensure runs `pinion ensure` and prints its receipt.
func (c *cli) ensure(ctx context.Context) (receipt, error) {
	args := []string{"ensure", name, "--config", c.config, "--format", "json"}
	fmt.Printf("\n$ pinion %s\n", strings.Join(args, " "))
	cmd := exec.CommandContext(ctx, c.program, args...)
	cmd.Env = c.env
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.Output()
	if err != nil {
		return receipt{}, fmt.Errorf("pinion ensure: %w", err)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, bytes.TrimSpace(out), "", "  "); err != nil {
		return receipt{}, fmt.Errorf("read the receipt %q: %w", out, err)
	}
	fmt.Println(pretty.String())
	var r receipt
	if err := json.Unmarshal(out, &r); err != nil {
		return receipt{}, fmt.Errorf("read the receipt: %w", err)
	}
	return r, nil
}

// close ends the BuildKit that the command line may have started.
func (c *cli) close() error {
	if c.place.engine != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.program, "builder", "stop", "--timeout", "0s")
	cmd.Env = c.env
	cmd.Stderr = os.Stderr
	return cmd.Run()
}
