package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// engine is the Docker engine that the demo uses.
type engine struct {
	store *imagestore.Engine
	info  imagestore.EngineInfo
	own   *parts.Dockerd // nil if the user's engine answered
}

// findEngine returns the engine that plain `docker` would use, or starts one if there is none.
func findEngine(ctx context.Context, dir string) (*engine, error) {
	found, err := dial(ctx, imagestore.EngineConfig{Lookup: os.LookupEnv})
	if err == nil {
		return found, nil
	}
	if !errors.Is(err, imagestore.ErrUnavailable) || named("DOCKER_HOST") || named("DOCKER_CONTEXT") {
		return nil, err // an engine that was named is never replaced by another
	}
	own, startErr := startEngine(ctx, dir)
	if startErr != nil {
		return nil, fmt.Errorf("no Docker engine answers (%w), and none could be started: %w", err, startErr)
	}
	e, err := dial(ctx, imagestore.EngineConfig{Host: own.Host()})
	if err != nil {
		return nil, errors.Join(err, own.Close())
	}
	e.own = own
	return e, nil
}

func named(variable string) bool { return os.Getenv(variable) != "" }

func dial(ctx context.Context, cfg imagestore.EngineConfig) (*engine, error) {
	store, err := imagestore.Dial(cfg)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	info, err := store.Info(ctx)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return &engine{store: store, info: info}, nil
}

// startEngine brings up an engine of the 29 line, with what that needs: packages of the distribution and a program built from a Go module.
func startEngine(ctx context.Context, dir string) (*parts.Dockerd, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("`make demo` needs a Docker engine that runs, or root so that it can bring up one of its own")
	}
	if err := installPackages(ctx); err != nil {
		return nil, err
	}
	if err := runLoud(ctx, "make", "--silent", "dockerd"); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return parts.StartDockerd(ctx, dir, parts.Docker29Containerd)
}

// installPackages installs what a Docker engine needs, on Debian and its relatives.
func installPackages(ctx context.Context) error {
	var missing []string
	for program, pkg := range map[string]string{"containerd": "containerd", "runc": "runc", "ip": "iproute2"} {
		if _, err := parts.Locate(program); err != nil {
			missing = append(missing, pkg)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("a Docker engine needs the packages %s: install them", strings.Join(missing, ", "))
	}
	say("install", "%s", strings.Join(missing, " "))
	if err := runLoud(ctx, "apt-get", "-qq", "update"); err != nil {
		return err
	}
	return runLoud(ctx, "apt-get", append([]string{"-qq", "install", "--yes", "--no-install-recommends"}, missing...)...)
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

func (e *engine) origin() string {
	if e.own != nil {
		return " (brought up for this demo)"
	}
	return ""
}

// arch is the engine's architecture as Go names it.
func (e *engine) arch() string {
	_, arch, _ := strings.Cut(e.info.Platform, "/")
	arch, _, _ = strings.Cut(arch, "/")
	return arch
}

// environment makes the command line use this engine.
func (e *engine) environment() []string {
	var env []string
	if e.own != nil {
		env = append(env, "DOCKER_HOST="+e.own.Host())
	}
	if e.arch() != "amd64" {
		env = append(env, "MOLECULE_IMAGE_PLATFORM=native")
	}
	return env
}

// forget takes the demo's references out of the user's engine. An engine of our own goes with all that it has.
func (e *engine) forget(r receipt) error {
	if e.own != nil || r.Reference == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	image, err := e.store.Inspect(ctx, r.Reference)
	if err != nil {
		return err
	}
	repo, _, _ := strings.Cut(r.Reference, ":")
	for _, tag := range image.Tags {
		if strings.HasPrefix(tag, repo+":") {
			err = errors.Join(err, e.store.Untag(ctx, tag))
			say("removed", "%s from the engine", tag)
		}
	}
	return err
}

func (e *engine) close() error {
	err := e.store.Close()
	if e.own != nil {
		err = errors.Join(err, e.own.Close())
	}
	return err
}
