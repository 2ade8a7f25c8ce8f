package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// startTimeout bounds the start of one part.
const startTimeout = time.Minute

// stage is what all races share: the template on its git server, and the programs.
type stage struct {
	dir      string
	gitea    *parts.Gitea
	template template
	big      *changing  // nil until a race needs it
	platform *platform  // nil until a race needs it
	size     int64      // of the platform's template, in bytes
	history  *gitServer // nil until a race needs it
	programs programs
	engines  map[string]string // versions of those that were up, by flavour
}

// programs are paths. docker is empty where the machine has no client.
type programs struct {
	pinion, docker, buildx string
	launcher               launcher
}

func openStage(ctx context.Context, size int64) (*stage, error) {
	dir, err := os.MkdirTemp("", "pinion-bench-")
	if err != nil {
		return nil, err
	}
	s := &stage{dir: dir, size: size, engines: map[string]string{}}
	if err := s.setUp(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *stage) setUp(ctx context.Context) (err error) {
	if s.programs, err = findPrograms(ctx, s.dir); err != nil {
		return err
	}
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if s.gitea, err = parts.StartGitea(starting, filepath.Join(s.dir, "gitea")); err != nil {
		return err
	}
	s.template, err = pushTemplate(ctx, s.gitea)
	return err
}

func (s *stage) close() (err error) {
	if s.history != nil {
		err = s.history.close()
	}
	if s.gitea != nil {
		err = errors.Join(err, s.gitea.Close())
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// findPrograms builds Pinion as a release is built, and links buildx into a config folder of
// Docker's client.
func findPrograms(ctx context.Context, dir string) (p programs, err error) {
	if p.buildx, err = parts.Locate("buildx"); err != nil {
		return p, err
	}
	if p.docker, err = exec.LookPath("docker"); err != nil {
		p.docker = ""
	}
	plugins := filepath.Join(dir, "docker", "cli-plugins")
	if err := os.MkdirAll(plugins, 0o700); err != nil {
		return p, err
	}
	if err := os.Symlink(p.buildx, filepath.Join(plugins, "docker-buildx")); err != nil {
		return p, err
	}
	if p.launcher, err = buildLauncher(ctx, dir); err != nil {
		return p, err
	}
	p.pinion = filepath.Join(dir, "pinion")
	say("building pinion")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", p.pinion,
		"./cmd/pinion")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return p, fmt.Errorf("build pinion: %w\n%s", err, out)
	}
	return p, nil
}
