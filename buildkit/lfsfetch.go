package buildkit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	gateway "github.com/moby/buildkit/frontend/gateway/client"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// LFS asks the LFS server of a repository for objects and returns what opens each of them. It
// leaves out those that the server does not have. The texts of its errors have no secrets.
type LFS func(
	ctx context.Context, remote git.Remote, pointers []git.LFSPointer,
) (git.LFSObjects, error)

// withLFS adds the files to the checkout that the context has in Git LFS, if the request asks for
// them. BuildKit's git leaves pointers in their place. They pass through this process into the
// session and not through a source of the builder's: the addresses of objects and what a request
// for them takes would be in the build's graph, and so in its history and its provenance.
func (s *solve) withLFS(
	ctx context.Context, c gateway.Client, co *checkout, in *inspection,
) error {
	if s.lfs == nil {
		return nil
	}
	found, modes, err := findLFS(ctx, co, s.req, in.ignore)
	if err != nil || len(found) == 0 {
		return inspectError(ctx, err)
	}
	opens, err := s.locateLFS(ctx, co, found)
	if err != nil {
		return err
	}
	s.lfs.set(lfsEntries(found, modes), func(e entry) (io.ReadCloser, error) {
		return opens[e.path](ctx)
	})
	st, _, err := s.lfs.receive(ctx, c, fmt.Sprintf("take %d files from Git LFS", len(found)))
	co.lfs = &st
	return err
}

func newLFSUpload() *upload { return &upload{name: "lfs", failure: lfsFailure} }

func lfsFailure(name string, err error) error {
	if errors.Is(err, errOtherContent) {
		err = errors.New("the LFS server sent another content than that of the pointer")
	}
	return &Error{Op: "fetch LFS", Kind: ErrLFS, Err: fmt.Errorf("%q: %w", name, harmless(err))}
}

// locateLFS returns what opens each file, by its path.
func (s *solve) locateLFS(
	ctx context.Context, co *checkout, found []lfsFile,
) (map[string]func(context.Context) (io.ReadCloser, error), error) {
	byRemote := map[git.Remote]map[git.LFSPointer]bool{}
	for _, f := range found {
		if byRemote[f.remote] == nil {
			byRemote[f.remote] = map[git.LFSPointer]bool{}
		}
		byRemote[f.remote][f.pointer] = true
	}
	opens := map[string]func(context.Context) (io.ReadCloser, error){}
	for remote, want := range byRemote {
		pointers := slices.SortedFunc(maps.Keys(want), func(a, b git.LFSPointer) int {
			return strings.Compare(a.OID, b.OID)
		})
		have, err := s.req.LFS(ctx, remote, pointers)
		if err != nil {
			if errors.Is(err, errdef.ErrNotFound) {
				err = fmt.Errorf("%w%s", err, lfsConfigNote(ctx, co))
			}
			return nil, &Error{Op: "fetch LFS", Kind: ErrLFS, Err: harmless(err)}
		}
		for _, f := range found {
			if f.remote != remote {
				continue
			}
			if opens[f.path] = have[f.pointer]; opens[f.path] == nil {
				return nil, refuse("%q is a pointer of Git LFS to an object that %s does not have "+
					"(%s, %d bytes)%s", path.Join(s.req.Subdir, f.path), remote, f.pointer.OID,
					f.pointer.Size, lfsConfigNote(ctx, co))
			}
		}
	}
	return opens, nil
}

// lfsConfigNote says of a commit that has the file that Git LFS would follow to any server, that it
// is not followed.
func lfsConfigNote(ctx context.Context, co *checkout) string {
	if !has(ctx, co.tree, ".lfsconfig") {
		return ""
	}
	return "; a server that .lfsconfig names is not asked"
}
