package buildkit

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"sync"

	gateway "github.com/moby/buildkit/frontend/gateway/client"
	fstypes "github.com/tonistiigi/fsutil/types"
)

// files is a tree that can be read, on the builder or in a local folder.
type files interface {
	ReadFile(ctx context.Context, req gateway.ReadRequest) ([]byte, error)
	ReadDir(ctx context.Context, req gateway.ReadDirRequest) ([]*fstypes.Stat, error)
}

// listed reads each folder of a tree once.
type listed struct {
	files
	mu   *sync.Mutex
	dirs map[string]listing // guarded by mu
}

func newListed(f files) listed { return listed{f, &sync.Mutex{}, map[string]listing{}} }

// listing has the entries of one folder, or the error of reading it. Links are not followed.
type listing struct {
	entries []*fstypes.Stat
	err     error
}

// ReadDir implements files. It keeps whole folders alone.
func (l listed) ReadDir(ctx context.Context, req gateway.ReadDirRequest) ([]*fstypes.Stat, error) {
	if req.IncludePattern != "" {
		return l.files.ReadDir(ctx, req)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	dir, ok := l.dirs[req.Path]
	if !ok {
		dir.entries, dir.err = l.files.ReadDir(ctx, req)
		if dir.err == nil || errors.Is(dir.err, errOddName) {
			l.dirs[req.Path] = dir
		}
	}
	return dir.entries, dir.err
}

// errOddName is the error of a folder in which a name is not UTF-8, on a builder that cannot send
// such names.
var errOddName = errors.New("a name in the folder is not UTF-8")

// remoteFiles is a tree on the builder.
type remoteFiles struct{ gateway.Reference }

// ReadDir implements files.
func (r remoteFiles) ReadDir(
	ctx context.Context, req gateway.ReadDirRequest,
) ([]*fstypes.Stat, error) {
	entries, err := r.Reference.ReadDir(ctx, req)
	// The text is that of Go's protobuf (internal/errors) and has been the same in all versions.
	// BuildKit's own daemon has a codec that does not check names; a Docker engine has not.
	if err != nil && strings.Contains(err.Error(), "contains invalid UTF-8") {
		err = errOddName
	}
	return entries, err
}

// find returns the entry of a name in a folder, nil if there is none.
func find(ctx context.Context, f files, name string) (*fstypes.Stat, error) {
	dir, base := path.Split(name)
	req := gateway.ReadDirRequest{Path: path.Join(".", dir)}
	entries, err := f.ReadDir(ctx, req)
	if errors.Is(err, errOddName) {
		req.IncludePattern = literal(base)
		entries, err = f.ReadDir(ctx, req)
	}
	i := slices.IndexFunc(entries, func(s *fstypes.Stat) bool { return path.Base(s.Path) == base })
	if err != nil || i < 0 {
		return nil, err
	}
	return entries[i], nil
}

// has reports whether a folder has an entry of that name.
func has(ctx context.Context, f files, name string) bool {
	st, err := find(ctx, f, name)
	return err == nil && st != nil
}

// literal returns the pattern that matches a name alone.
func literal(name string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(name)
}

// readBounded reads a small file. It limits the read and not the size, since the size of a link is
// not that of its file.
func readBounded(ctx context.Context, f files, name string) ([]byte, error) {
	dt, err := f.ReadFile(ctx, gateway.ReadRequest{Filename: name,
		Range: &gateway.FileRange{Length: maxDockerfile + 1}})
	if err == nil && len(dt) > maxDockerfile {
		err = refuse("%s has more than %d bytes", name, maxDockerfile)
	}
	return dt, err
}
