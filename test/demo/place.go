package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/docker"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// place is where the demo's image goes: the Docker engine that answers, or a folder that a BuildKit
// of Pinion's own fills.
type place struct {
	engine *docker.Engine // nil for the folder
	what   string
	arch   string // of what is built, as Go names it
	env    []string
}

// findPlace takes the engine that plain `docker` would use, or a folder if there is none.
func findPlace(ctx context.Context, dir string) (*place, error) {
	found, err := dial(ctx, docker.Config{Lookup: os.LookupEnv})
	if err == nil {
		return found, nil
	}
	if !errors.Is(err, imagestore.ErrUnavailable) || named("DOCKER_HOST") ||
		named("DOCKER_CONTEXT") {
		return nil, err // an engine that was named is never replaced by another
	}
	say("engine", "no Docker engine answers; building without one")
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		return nil,
			errors.New("`make demo` needs a Docker engine that runs, or root on Linux so that it " +
				"can do without")
	}
	if err := installPackages(ctx); err != nil {
		return nil, err
	}
	images := filepath.Join(dir, "images")
	return &place{
		what: "the folder " + images, arch: runtime.GOARCH,
		env: []string{"PINION_STORE=oci:" + images, "PINION_BUILDKIT_ROOT=" +
			filepath.Join(dir, "buildkit"), "MOLECULE_IMAGE_PLATFORM=native"},
	}, nil
}

func named(variable string) bool { return os.Getenv(variable) != "" }

func dial(ctx context.Context, cfg docker.Config) (*place, error) {
	engine, err := docker.Dial(cfg)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	info, err := engine.Info(ctx)
	if err != nil {
		return nil, errors.Join(err, engine.Close())
	}
	p := &place{engine: engine, what: fmt.Sprintf("Docker %s at %s, %s image store", info.Version,
		engine.Endpoint(), info.Kind)}
	_, arch, _ := strings.Cut(info.Platform, "/")
	p.arch, _, _ = strings.Cut(arch, "/")
	if p.arch != "amd64" {
		p.env = []string{"MOLECULE_IMAGE_PLATFORM=native"}
	}
	return p, nil
}

// installPackages installs what a BuildKit needs, on Debian and its relatives.
func installPackages(ctx context.Context) error {
	var missing []string
	for program, pkg := range map[string]string{"runc": "runc", "git": "git"} {
		if _, err := parts.Locate(program); err != nil {
			missing = append(missing, pkg)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("a BuildKit needs the packages %s: install them",
			strings.Join(missing, ", "))
	}
	say("install", "%s", strings.Join(missing, " "))
	if err := runLoud(ctx, "apt-get", "-qq", "update"); err != nil {
		return err
	}
	return runLoud(ctx, "apt-get",
		append([]string{"-qq", "install", "--yes", "--no-install-recommends"}, missing...)...)
}

func runLoud(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return nil
}

// forget takes the demo's references out of the user's engine. A folder goes with all that it has.
func (p *place) forget(r receipt) error {
	if p.engine == nil || r.Reference == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	image, err := p.engine.Inspect(ctx, r.Reference)
	if err != nil {
		return err
	}
	repo, _, _ := strings.Cut(r.Reference, ":")
	for _, tag := range image.Tags {
		if strings.HasPrefix(tag, repo+":") {
			err = errors.Join(err, p.engine.Untag(ctx, tag))
			say("removed", "%s from the engine", tag)
		}
	}
	return err
}

func (p *place) close() error {
	if p.engine == nil {
		return nil
	}
	return p.engine.Close()
}
