package buildkit

import (
	"context"
	"errors"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/patternmatcher"
	digest "github.com/opencontainers/go-digest"
	fstypes "github.com/tonistiigi/fsutil/types"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// Bounds of the search for files in Git LFS. Each folder and each small file takes a question to
// the builder.
const (
	maxLFSFiles   = 5000
	maxLFSFolders = 20000
)

// lfsFile is a pointer in the build context.
type lfsFile struct {
	path    string // below the context
	mode    os.FileMode
	pointer git.LFSPointer
	remote  git.Remote // the repository or submodule
}

// lfsSearch finds the pointers in the build context that the attributes of the commit name.
type lfsSearch struct {
	tree    files
	subdir  string
	ignored *patternmatcher.PatternMatcher
	modules []resolved

	folders, asked int
	found          []lfsFile
	modes          map[string]os.FileMode // of folders below the context
}

// repository is what holds in one repository.
type repository struct {
	remote git.Remote
	root   string // where it is in the tree
	macros attributeMacros
}

// findLFS returns the pointers in the build context and the modes of its folders. Files in Git LFS
// whose content is in the commit are no pointers.
func findLFS(
	ctx context.Context, co *checkout, req Request, ignore []string,
) ([]lfsFile, map[string]os.FileMode, error) {
	ignored, err := patternmatcher.New(ignore)
	if err != nil {
		return nil, nil, err
	}
	s := &lfsSearch{tree: co.tree, subdir: req.Subdir, ignored: ignored, modules: co.modules,
		modes: map[string]os.FileMode{}}
	in := repository{remote: req.Remote, root: ".", macros: attributeMacros{}}
	var rules attributeRules
	// The folders above the context have attributes for what is in it.
	for i, c := range req.Subdir + "/" {
		if c != '/' || req.Subdir == "" {
			continue
		}
		above := path.Dir(req.Subdir[:i])
		if in, rules, err = s.enter(ctx, above, in, rules); err != nil {
			return nil, nil, err
		}
	}
	err = s.folder(ctx, "", patternmatcher.MatchInfo{}, in, rules)
	return s.found, s.modes, err
}

// enter returns the repository that a folder of the tree is in, and the rules for its files.
func (s *lfsSearch) enter(
	ctx context.Context, dir string, in repository, rules attributeRules,
) (repository, attributeRules, error) {
	if i := slices.IndexFunc(s.modules, func(m resolved) bool { return m.path == dir }); i >= 0 {
		in = repository{s.modules[i].remote, dir, attributeMacros{}}
		rules = nil
	}
	name := path.Join(dir, attributes)
	st, err := find(ctx, s.tree, name)
	// Git does not follow a link.
	if err != nil || st == nil || !os.FileMode(st.Mode).IsRegular() {
		return in, rules, err
	}
	text, err := readBounded(ctx, s.tree, name)
	if err != nil {
		return in, rules, err
	}
	return in, append(slices.Clip(rules), parseAttributes(text, in.path(dir), in.macros)...), nil
}

// path returns a path in the tree as one in the repository.
func (in repository) path(name string) string {
	switch in.root {
	case ".":
		return name
	case name:
		return "."
	}
	return strings.TrimPrefix(name, in.root+"/")
}

// folder searches a folder of the context and those in it.
func (s *lfsSearch) folder(
	ctx context.Context, dir string, parent patternmatcher.MatchInfo, in repository,
	rules attributeRules,
) error {
	if s.folders++; s.folders > maxLFSFolders {
		return refuse("Git LFS: the build context has more than %d folders", maxLFSFolders)
	}
	at := path.Join(".", s.subdir, dir)
	in, rules, err := s.enter(ctx, at, in, rules)
	if err != nil {
		return s.explain(at, err)
	}
	list, err := s.tree.ReadDir(ctx, gateway.ReadDirRequest{Path: at})
	if err != nil {
		return s.explain(at, err)
	}
	list = slices.SortedFunc(slices.Values(list), func(a, b *fstypes.Stat) int {
		return strings.Compare(path.Base(a.Path), path.Base(b.Path))
	})
	for _, st := range list {
		name := path.Join(dir, path.Base(st.Path))
		matched, info, err := s.ignored.MatchesUsingParentResults(name, parent)
		if err != nil {
			return err
		}
		mode := os.FileMode(st.Mode)
		switch {
		case mode.IsDir() && path.Base(name) == ".git":
		case mode.IsDir() && (!matched || s.ignored.Exclusions()):
			s.modes[name] = mode
			err = s.folder(ctx, name, info, in, rules)
		case mode.IsRegular() && !matched:
			err = s.file(ctx, name, st, in, rules)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *lfsSearch) explain(dir string, err error) error {
	if errors.Is(err, errOddName) {
		return refuse("Git LFS: folder %q: %w, and this builder cannot list it", dir, err)
	}
	return err
}

// file adds a file to those that were found if it is a pointer in Git LFS.
func (s *lfsSearch) file(
	ctx context.Context, name string, st *fstypes.Stat, in repository, rules attributeRules,
) error {
	at := path.Join(s.subdir, name)
	if st.Size >= git.MaxLFSPointer || !rules.lfs(in.path(at), in.macros) {
		return nil
	}
	if s.asked++; s.asked > maxLFSFiles {
		return refuse("the build context has more than %d files in Git LFS", maxLFSFiles)
	}
	text, err := s.tree.ReadFile(ctx, gateway.ReadRequest{Filename: at,
		Range: &gateway.FileRange{Length: git.MaxLFSPointer}})
	if err != nil {
		return err
	}
	p, ok := git.ParseLFSPointer(text)
	if !ok {
		return nil
	}
	if p.Extended {
		return refuse("%q is stored in Git LFS by an extension, whose programs are not run", at)
	}
	s.found = append(s.found, lfsFile{name, os.FileMode(st.Mode), p, in.remote})
	return nil
}

// lfsEntries returns the files as entries of an upload, with the folders on the way to them, in the
// order that BuildKit expects. Nothing but the content differs from the context.
func lfsEntries(found []lfsFile, modes map[string]os.FileMode) []entry {
	var entries []entry
	have := map[string]bool{}
	for _, f := range found {
		for i, c := range f.path {
			if dir := f.path[:i]; c == '/' && !have[dir] {
				have[dir] = true
				entries = append(entries, entry{path: dir, mode: modes[dir], modTime: lfsTime})
			}
		}
		entries = append(entries, entry{path: f.path, mode: f.mode, size: f.pointer.Size,
			modTime: lfsTime, sum: digest.NewDigestFromEncoded(digest.SHA256, f.pointer.OID)})
	}
	return entries
}

// lfsTime is the time of all files from Git LFS. It is no part of what caches go by.
var lfsTime = time.Unix(0, 0)
