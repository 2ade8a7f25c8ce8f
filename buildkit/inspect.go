package buildkit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/resolver/arg"
)

// maxDockerfile is the greatest size of a Dockerfile or an ignore file, in bytes. A larger one is
// refused.
const maxDockerfile = 1 << 20

// syntaxFrontend is the one frontend image that `# syntax=` may name by default.
const syntaxFrontend = "docker.io/docker/dockerfile"

// inspection is what the tree says before any of it runs.
type inspection struct {
	dockerfile []byte
	// frontendImage is the reference in `# syntax=` and frontendCmdline the directive's whole
	// value. Both are empty for the builder's built-in Dockerfile frontend.
	frontendImage, frontendCmdline string
	// ignore holds the patterns of the .dockerignore that applies.
	ignore   []string
	args     []arg.Value
	warnings []string
}

// inspect reads the fetched tree and refuses what must not reach the frontend.
func inspect(ctx context.Context, co *checkout, req Request) (*inspection, error) {
	modules, err := find(ctx, co.tree, gitmodules)
	if err != nil {
		return nil, err
	}
	leftOut := modules != nil && len(req.Submodules) == 0
	if leftOut && co.submodules {
		return nil,
			tooOld("the repository has submodules and this builder cannot leave them out, which " +
				"takes BuildKit 0.29 or later")
	}
	in, err := inspectFiles(ctx, co.tree, req, func(name string, err error) error {
		if has(ctx, co.tree, name) {
			return err
		}
		return refuse("%w", errdef.In(errdef.DockerfileMissing, "", fmt.Errorf(
			"%s has no %s at %s", req.Remote, name, req.Revision.Short())))
	})
	if err != nil {
		return nil, err
	}
	if leftOut {
		in.warnings = append(in.warnings, "submodules are not fetched")
	}
	return in, nil
}

// inspectFiles inspects a fetched tree or a working tree. missing returns the error for a
// Dockerfile that cannot be read.
func inspectFiles(
	ctx context.Context, f files, req Request, missing func(name string, err error) error,
) (*inspection, error) {
	if err := checkSubdir(ctx, f, req.Subdir); err != nil {
		return nil, err
	}
	name := req.dockerfile()
	dockerfile, err := readBounded(ctx, f, name)
	if err != nil && !errors.Is(err, ErrRefused) && path.Base(name) == "Dockerfile" {
		// As in Docker, the default name may be in lower case.
		lower := path.Join(path.Dir(name), "dockerfile")
		if other, failed := readBounded(ctx, f, lower); failed == nil {
			dockerfile, err = other, nil
		}
	}
	if err != nil && !errors.Is(err, ErrRefused) {
		err = missing(name, err)
	}
	if err != nil {
		return nil, err
	}
	in := &inspection{dockerfile: dockerfile}
	if err := in.chooseFrontend(dockerfile, req.AllowedFrontends); err != nil {
		return nil, err
	}
	if in.args, in.warnings, err = readArgs(ctx, f, req.Args); err != nil {
		return nil, err
	}
	in.ignore, err = readIgnore(ctx, f, req)
	return in, err
}

func refuse(format string, args ...any) error {
	return &Error{Op: "inspect", Kind: ErrRefused, Err: fmt.Errorf(format, args...)}
}

// checkSubdir walks to the subdir and refuses a link on the way (CVE-2026-33748).
func checkSubdir(ctx context.Context, ref files, subdir string) error {
	at := "."
	for name := range strings.SplitSeq(subdir, "/") {
		if name == "" {
			continue
		}
		at = path.Join(at, name)
		st, err := find(ctx, ref, at)
		switch {
		case err != nil:
			return err
		case st == nil:
			return refuse("subdir %s is not in the repository", subdir)
		case os.FileMode(st.Mode)&os.ModeSymlink != 0:
			return refuse("subdir %s is a symbolic link (at %s)", subdir, at)
		case !os.FileMode(st.Mode).IsDir():
			return refuse("subdir %s is not a folder", subdir)
		}
	}
	return nil
}

// chooseFrontend chooses the frontend that `# syntax=` names, as the frontend itself would
// otherwise do when it reads the file.
func (in *inspection) chooseFrontend(dockerfile []byte, allowed []string) error {
	image, cmdline, at, ok := parser.DetectSyntax(dockerfile)
	if !ok {
		return nil
	}
	line := 1
	if len(at) > 0 {
		line = at[0].Start.Line
	}
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return refuse("line %d: # syntax=%q: %w", line, image, err)
	}
	if name := named.Name(); name != syntaxFrontend &&
		!slices.ContainsFunc(allowed, sameImage(name)) {
		return refuse("%w", errdef.In(errdef.FrontendNotAllowed, "", fmt.Errorf(
			"line %d: # syntax=%s names a frontend that is not allowed", line, image)))
	}
	in.frontendImage, in.frontendCmdline = image, cmdline
	return nil
}

func sameImage(name string) func(string) bool {
	return func(allowed string) bool {
		n, err := reference.ParseNormalizedNamed(allowed)
		return err == nil && n.Name() == name
	}
}
