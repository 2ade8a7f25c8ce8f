package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// name is the template's name in the catalogue. No real template has it.
const name = "pinion-demo"

// dockerfile needs no registry: its only program comes with the repository.
const dockerfile = `FROM scratch
COPY hello /hello
RUN ["/hello", "--write", "/greeting"]
ENTRYPOINT ["/hello"]
`

// template is a repository on a git server of its own.
type template struct {
	server   *parts.GitHTTP
	repo     string // as people write it
	revision string
}

// serveTemplate makes the repository, with a program for the engine's architecture in it.
func serveTemplate(ctx context.Context, dir, arch string) (*template, error) {
	program := filepath.Join(dir, "hello")
	if err := goBuild(ctx, program, "./test/demo/hello", "GOOS=linux", "GOARCH="+arch); err != nil {
		return nil, err
	}
	body, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	server, err := parts.StartGitHTTP(filepath.Join(dir, "git"))
	if err != nil {
		return nil, err
	}
	t := &template{server: server, repo: server.RepoURL(name)}
	if err := server.CreateRepo(ctx, name, parts.SHA1); err != nil {
		return nil, errors.Join(err, t.close())
	}
	files := []parts.File{parts.Text("Dockerfile", dockerfile), parts.Program("hello", body)}
	if t.revision, err = server.Push(ctx, name,
		parts.Commit{Files: files, Message: "say hello"}); err != nil {
		return nil, errors.Join(err, t.close())
	}
	return t, nil
}

func (t *template) close() error { return t.server.Close() }

// goBuild compiles one of our programs without cgo.
func goBuild(ctx context.Context, out, pkg string, env ...string) error {
	say("building", "%s", pkg)
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, pkg)
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build %s: %w", pkg, err)
	}
	return nil
}
