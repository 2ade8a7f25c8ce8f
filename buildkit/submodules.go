package buildkit

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

const (
	gitmodules = ".gitmodules"
	// maxSubmodules bounds the submodules of a repository, those of submodules included.
	maxSubmodules = 100
)

// submodule is one entry of a .gitmodules.
type submodule struct{ name, path, url string }

// submoduleCheck refuses submodules whose repositories are not allowed.
type submoduleCheck struct {
	allowed []string // host or host/path, without .git
	found   []resolved
}

// resolved is a submodule with its repository and its path below the root.
type resolved struct {
	path   string
	remote git.Remote
}

// of returns the submodules of the repository whose tree is at dir.
func (s *submoduleCheck) of(
	ctx context.Context, f files, dir string, remote git.Remote,
) ([]resolved, error) {
	name := path.Join(dir, gitmodules)
	if st, err := find(ctx, f, name); err != nil || st == nil {
		return nil, err
	}
	text, err := readBounded(ctx, f, name)
	if err != nil {
		return nil, err
	}
	modules, err := parseSubmodules(text)
	if err != nil {
		return nil, refuse("%s: %w", name, err)
	}
	if len(s.found)+len(modules) > maxSubmodules {
		return nil, refuse("the repository has more than %d submodules", maxSubmodules)
	}
	var all []resolved
	for _, m := range modules {
		at, err := s.resolve(m, remote)
		if err != nil {
			return nil, refuse("%s: submodule %q: %w", name, m.name, err)
		}
		all = append(all, resolved{path.Join(dir, m.path), at})
	}
	s.found = append(s.found, all...)
	return all, nil
}

// nested checks the submodules of repositories in a tree, and theirs.
func (s *submoduleCheck) nested(ctx context.Context, f files, modules []resolved) error {
	for _, m := range modules {
		inner, err := s.of(ctx, f, m.path, m.remote)
		if err == nil {
			err = s.nested(ctx, f, inner)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// resolve returns the repository of a submodule. A URL that begins with ./ or ../ is relative to
// that of the repository (gitmodules(5)).
func (s *submoduleCheck) resolve(m submodule, of git.Remote) (git.Remote, error) {
	raw := m.url
	if strings.HasPrefix(raw, "./") || strings.HasPrefix(raw, "../") {
		var err error
		if raw, err = relativeTo(of, raw); err != nil {
			return git.Remote{}, err
		}
	}
	var opts []git.RemoteOption
	if of.Scheme() == "http" {
		opts = append(opts, git.AllowInsecureHTTP())
	}
	remote, err := git.ParseRemote(raw, opts...)
	if err != nil {
		return git.Remote{}, err
	}
	return remote, s.allow(remote)
}

// allow returns an error for a repository that is not in the list.
func (s *submoduleCheck) allow(remote git.Remote) error {
	if slices.ContainsFunc(s.allowed, func(entry string) bool { return within(remote, entry) }) {
		return nil
	}
	return errdef.In(errdef.SubmoduleNotAllowed, remote.Host(),
		fmt.Errorf("%s is not in the list of repositories for submodules", remote))
}

// relativeTo returns the URL that git makes of a relative one: each ../ in front takes an element
// off the repository's path. One that would take off the host is refused, and so is a ../ behind,
// which git leaves to the server.
func relativeTo(of git.Remote, raw string) (string, error) {
	elements := strings.Split(of.Path(), "/")
	for {
		if rest, ok := strings.CutPrefix(raw, "./"); ok {
			raw = rest
			continue
		}
		rest, ok := strings.CutPrefix(raw, "../")
		if !ok {
			break
		}
		if len(elements) == 0 {
			return "", errors.New("its URL leads out of the host")
		}
		raw, elements = rest, elements[:len(elements)-1]
	}
	if slices.Contains(strings.Split(raw, "/"), "..") {
		return "", errors.New("its URL has a .. behind other elements")
	}
	return of.Scheme() + "://" + of.Host() + "/" + path.Join(append(elements, raw)...), nil
}

// within reports whether a repository is at a host, or below a path there.
func within(r git.Remote, entry string) bool {
	host, below, _ := strings.Cut(entry, "/")
	if r.Host() != strings.ToLower(host) {
		return false
	}
	below = strings.TrimSuffix(strings.TrimSuffix(below, "/"), ".git")
	return below == "" || r.Path() == below || strings.HasPrefix(r.Path(), below+"/")
}

// parseSubmodules reads a .gitmodules, which has the syntax of git's configuration (git-config(1)).
// What it does not understand is an error, so that no entry is overlooked.
func parseSubmodules(text []byte) ([]submodule, error) {
	var modules []submodule
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, maxDockerfile)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case strings.HasPrefix(line, "["):
			name, ok := strings.CutPrefix(line, `[submodule "`)
			if ok {
				name, ok = strings.CutSuffix(name, `"]`)
			}
			if !ok || strings.ContainsAny(name, `"\`) {
				return nil, fmt.Errorf("line %d: it is no section of a submodule", n)
			}
			if slices.ContainsFunc(modules, func(m submodule) bool { return m.name == name }) {
				// Of two values git takes the last.
				return nil, fmt.Errorf("line %d: submodule %q is there twice", n, name)
			}
			modules = append(modules, submodule{name: name})
		case len(modules) == 0:
			return nil, fmt.Errorf("line %d: it is in no section", n)
		default:
			if err := modules[len(modules)-1].set(line); err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return checkedSubmodules(modules)
}

// set reads a line with a key and its value.
func (m *submodule) set(line string) error {
	key, value, _ := strings.Cut(line, "=")
	value = strings.TrimSpace(value)
	if bare, ok := strings.CutPrefix(value, `"`); ok && strings.HasSuffix(bare, `"`) {
		value = strings.TrimSuffix(bare, `"`)
	} else if i := strings.IndexAny(value, "#;"); i >= 0 {
		value = strings.TrimSpace(value[:i])
	}
	if strings.ContainsAny(value, `"\`) {
		return errors.New("quotes in a value and escapes cannot be read")
	}
	for name, to := range map[string]*string{"path": &m.path, "url": &m.url} {
		if strings.EqualFold(strings.TrimSpace(key), name) {
			if *to != "" {
				return errors.New(name + " is there twice")
			}
			*to = value
		}
	}
	return nil
}

// checkedSubmodules returns the entries, each with a path and a URL.
func checkedSubmodules(modules []submodule) ([]submodule, error) {
	for _, m := range modules {
		if m.path == "" || m.url == "" {
			return nil, fmt.Errorf("submodule %q has no path or no url", m.name)
		}
		if p, err := git.ParseSubdir(m.path); err != nil || p == "" {
			return nil, errors.New("the path of submodule " + fmt.Sprintf("%q", m.name) +
				" is none below the root")
		}
	}
	return modules, nil
}
