package resolver

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/distribution/reference"

	"git.moleculesai.app/molecule-ai/pinion/resolver/arg"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// keyError is an error about the value of one key of an entry, or of one in it.
type keyError struct {
	path []string
	err  error
}

func (e *keyError) Error() string { return e.err.Error() }

func (e *keyError) Unwrap() error { return e.err }

// inKey returns err as one about a key, nil for nil.
func inKey(err error, path ...string) error {
	if err == nil {
		return nil
	}
	return &keyError{path, err}
}

// addTemplate adds a template, or changes a built-in one. It returns what was added.
func (c *Catalogue) addTemplate(entry templateConfig) (Template, error) {
	if err := checkName(entry.Name); err != nil {
		return Template{}, inKey(err, "name")
	}
	t, builtIn := c.templates[entry.Name]
	builtIn = builtIn && IsKnownRuntime(entry.Name) && !c.adjusted[entry.Name]
	if !builtIn {
		t = Template{Name: entry.Name}
	}
	set := entry.setBuild
	if isGiven(entry.Image) {
		set = entry.setGiven
	}
	if err := set(&t); err != nil {
		return Template{}, err
	}
	if !builtIn {
		return t, c.add(t)
	}
	if err := c.replace(t); err != nil {
		return Template{}, err
	}
	c.adjusted[t.Name] = true
	return t, nil
}

// setBuild sets what is built, and how.
func (e templateConfig) setBuild(t *Template) error {
	if err := e.setSource(t); err != nil {
		return err
	}
	if err := e.setArgs(t); err != nil {
		return err
	}
	for _, field := range []struct {
		value string
		to    *string
	}{
		{e.Subdir, &t.Subdir}, {e.Dockerfile, &t.Dockerfile}, {e.Target, &t.Target},
		{e.Platform, &t.Platform}, {e.Image, &t.Image},
	} {
		if field.value != "" {
			*field.to = field.value
		}
	}
	if e.RootDockerfile != "" {
		if e.Dockerfile != "" {
			return inKey(fmt.Errorf("%w: dockerfile and root_dockerfile both name the Dockerfile: "+
				"write one of them", ErrInvalidInput), "root_dockerfile")
		}
		t.Dockerfile = "/" + strings.TrimPrefix(e.RootDockerfile, "/")
	}
	if len(e.Submodules) > 0 {
		t.Submodules = e.Submodules
	}
	if e.LFS != nil {
		t.LFS = *e.LFS
	}
	if len(e.LFSHosts) > 0 {
		t.LFSHosts = e.LFSHosts
	}
	if e.KeepGitDir != nil {
		t.KeepGitDir = *e.KeepGitDir
	}
	if e.AllowBasePlatform != nil {
		t.AllowBasePlatform = *e.AllowBasePlatform
	}
	if e.Timeout != 0 {
		t.Timeout = e.Timeout
	}
	if e.PullRequests != nil {
		var err error
		if t.PullRequests, err = e.PullRequests.rules(); err != nil {
			return err
		}
	}
	return nil
}

// setSource sets the repository and what is followed in it.
func (e templateConfig) setSource(t *Template) (err error) {
	if e.Repo != "" || t.Remote.IsZero() {
		if t.Remote, err = e.remote(); err != nil {
			return inKey(err, "repo")
		}
	}
	var last string
	for _, key := range []struct {
		name, value string
		set         func() error
	}{
		{"branch", e.Branch, func() error { t.Ref, err = git.ParseBranch(e.Branch); return err }},
		{"tag", e.Tag, func() error { t.Ref, err = git.ParseTag(e.Tag); return err }},
		{"revision", e.Revision, func() error {
			t.Revision, err = git.ParseRevision(e.Revision)
			return err
		}},
	} {
		switch {
		case key.value == "":
			continue
		case last != "":
			return inKey(fmt.Errorf("%w: %s and %s both say which commit: write one of branch, "+
				"tag and revision", ErrInvalidInput, last, key.name), key.name)
		}
		if err := key.set(); err != nil {
			return inKey(err, key.name)
		}
		last = key.name
	}
	return nil
}

func (e templateConfig) remote() (git.Remote, error) {
	if e.Repo == "" {
		return git.Remote{}, fmt.Errorf("%w: only a built-in template has a repository already: "+
			"write repo, the URL of one", ErrInvalidInput)
	}
	var opts []git.RemoteOption
	if e.AllowInsecureHTTP {
		opts = append(opts, git.AllowInsecureHTTP())
	}
	remote, err := git.ParseRemote(e.Repo, opts...)
	if errors.Is(err, git.ErrPlainHTTP) {
		err = fmt.Errorf("%w, and the entry does not set allow_insecure_http", err)
	}
	return remote, err
}

// setArgs adds the rules of the entry to those of the built-in template, replaces those of the same
// name, and removes those that are null.
func (e templateConfig) setArgs(t *Template) error {
	rules := slices.Clone(t.Args)
	for _, name := range slices.Sorted(maps.Keys(e.Args)) {
		at := slices.IndexFunc(rules, func(r arg.Rule) bool { return r.Name == name })
		a := e.Args[name]
		if a == nil && at < 0 {
			return inKey(fmt.Errorf("%w: build argument %s: null removes one of a built-in "+
				`template, which has none of this name: write a value, "" for an empty one`,
				ErrInvalidInput, quote(name)), "args", name)
		}
		if at >= 0 {
			rules = slices.Delete(rules, at, at+1)
		}
		if a == nil {
			continue
		}
		rule, err := a.rule(name)
		if err != nil {
			return inKey(err, "args", name)
		}
		rules = append(rules, rule)
	}
	t.Args = rules
	return nil
}

// addFrontend accepts a name without tag and digest: a tag moves with each push, so it would not
// restrict anything. It returns the name in full.
func (c *Catalogue) addFrontend(image string) (string, error) {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil || !reference.IsNameOnly(named) {
		return "", fmt.Errorf("%w: %s: give an image's name without tag and digest, for example "+
			"docker.io/team/frontend", ErrInvalidInput, quote(image))
	}
	if slices.Contains(c.frontends, named.Name()) {
		return "", fmt.Errorf("%w: %s is there already", ErrInvalidInput, quote(image))
	}
	c.frontends = append(c.frontends, named.Name())
	return named.Name(), nil
}

// isEnvName reports whether a shell accepts s: letters, digits and underscores,
// with no digit at the start.
func isEnvName(s string) bool {
	for i, r := range s {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}
