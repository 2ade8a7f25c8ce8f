package resolver

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// DefaultRepoPrefix is where the built-in templates are mirrored: a template's
// repository is the prefix with its name appended.
const DefaultRepoPrefix = "https://git.moleculesai.app/molecule-ai/molecule-ai-workspace-template-"

// Catalogue is the allow-list of templates: no other is asked for or built. It
// isn't safe for use while templates are being added.
type Catalogue struct {
	templates map[string]Template
	images    map[string]string // image name -> template name
	frontends []string

	credentials map[string]credentialConfig // by host
	servers     Servers

	adjusted map[string]bool     // the built-in templates that a file has changed
	problems map[string]*Problem // by template
	entries  []Entry             // of configuration files
}

// CatalogueOption changes NewCatalogue's default.
type CatalogueOption func(*catalogueRules)

type catalogueRules struct{ remote []git.RemoteOption }

// AllowInsecureHTTP lets the prefix be an http URL of any host. By default only
// loopback hosts may go without TLS.
func AllowInsecureHTTP() CatalogueOption {
	return func(r *catalogueRules) { r.remote = append(r.remote, git.AllowInsecureHTTP()) }
}

// NewCatalogue returns the KnownRuntimes at prefix, each on its default branch.
// An empty prefix is DefaultRepoPrefix. A prefix that doesn't make a repository
// URL with a name appended is an *Error around ErrInvalidInput.
func NewCatalogue(prefix string, opts ...CatalogueOption) (*Catalogue, error) {
	var rules catalogueRules
	for _, opt := range opts {
		opt(&rules)
	}
	if prefix == "" {
		prefix = DefaultRepoPrefix
	}
	c := &Catalogue{
		templates:   map[string]Template{},
		images:      map[string]string{},
		credentials: map[string]credentialConfig{},
		servers:     Servers{},
		adjusted:    map[string]bool{},
		problems:    map[string]*Problem{},
	}
	parse := func(name string) (git.Remote, error) {
		remote, err := git.ParseRemote(prefix+name, rules.remote...)
		if errors.Is(err, git.ErrPlainHTTP) {
			err = errdef.In(errdef.PlainHTTPPrefix, "", err)
		}
		return remote, err
	}
	// The error of a wrong prefix names no template, since the caller may want another one.
	if _, err := parse("NAME"); err != nil {
		return nil, &Error{Op: "use repository prefix", Err: err}
	}
	for _, name := range KnownRuntimes() {
		remote, err := parse(name)
		if err != nil {
			return nil, &Error{Op: "use repository prefix", Err: err}
		}
		t := Template{Name: name, Remote: remote, Args: StandardArgs(name)}
		if err := c.add(t); err != nil {
			return nil, &Error{Op: "use repository prefix", Err: err}
		}
	}
	return c, nil
}

// Add puts one more template into the catalogue and fills in its defaults. A
// name or an image name that exists already is refused, so that no two
// templates can ever give one image.
func (c *Catalogue) Add(t Template) error {
	if err := c.add(t); err != nil {
		return &Error{Op: "add template", Remote: t.Remote, Err: err}
	}
	return nil
}

func (c *Catalogue) add(t Template) error {
	if _, taken := c.templates[t.Name]; taken {
		return inKey(fmt.Errorf("%w: the catalogue has a template %s already: choose another name",
			ErrInvalidInput, quote(t.Name)), "name")
	}
	return c.replace(t)
}

// replace puts a template in the place of the one with its name, if there is one.
func (c *Catalogue) replace(t Template) error {
	t, err := checkTemplate(t)
	if err != nil {
		return err
	}
	if p, ok := c.problems[t.Name]; ok {
		return inKey(fmt.Errorf("%w: line %d has another entry of this name", ErrInvalidInput,
			p.Line), "name")
	}
	if other, taken := c.images[t.Image]; taken && other != t.Name {
		return inKey(fmt.Errorf("%w: template %s would give the image %s, which is that of "+
			"template %s: choose another image name",
			ErrInvalidInput, quote(t.Name), quote(t.Image), quote(other)), "image")
	}
	c.remove(t.Name)
	c.templates[t.Name] = t
	c.images[t.Image] = t.Name
	return nil
}

func (c *Catalogue) remove(name string) {
	delete(c.images, c.templates[name].Image)
	delete(c.templates, name)
}

// refuse removes a template whose entry is wrong, so that it is not what the operator changed or
// replaced.
func (c *Catalogue) refuse(name string, p *Problem) {
	c.remove(name)
	c.problems[name] = p
}

// Template returns one entry. An unknown name is an *Error around
// ErrUnknownTemplate that lists known ones; nothing is read or asked. A name whose entry in the
// configuration file is wrong is an *Error around the *Problem.
func (c *Catalogue) Template(name string) (Template, error) {
	if t, ok := c.templates[name]; ok {
		return t, nil
	}
	if p, ok := c.problems[name]; ok {
		return Template{}, &Error{Op: "find template", Err: p}
	}
	return Template{}, &Error{Op: "find template",
		Err: fmt.Errorf("%w %s: known are %s; add others to the configuration file, "+
			"which a program that runs has to read again",
			ErrUnknownTemplate, quote(name), c.some())}
}

// some lists the names, or the first ones of many.
func (c *Catalogue) some() string {
	const most = 30
	names := c.Names()
	if len(names) > most {
		more := fmt.Sprintf("and %d others", len(names)-most)
		names = append(names[:most], more)
	}
	return strings.Join(names, ", ")
}

// Names returns the names of all templates that can be asked for, sorted.
func (c *Catalogue) Names() []string {
	return slices.Sorted(maps.Keys(c.templates))
}

// TokenEnvs returns, by host[:port], the name of the environment variable that
// the configuration says holds the host's token.
func (c *Catalogue) TokenEnvs() map[string]string {
	envs := map[string]string{}
	for host, entry := range c.credentials {
		envs[host] = entry.TokenEnv
	}
	return envs
}

// Servers returns what the configuration says of git servers.
func (c *Catalogue) Servers() Servers { return maps.Clone(c.servers) }

// Frontends returns the images that the configuration lets `# syntax=` name, in
// full and without tag, such as "docker.io/team/frontend".
func (c *Catalogue) Frontends() []string {
	return slices.Clone(c.frontends)
}

// clone returns a copy, so that a file can be added as a whole or not at all.
func (c *Catalogue) clone() *Catalogue {
	return &Catalogue{
		templates:   maps.Clone(c.templates),
		images:      maps.Clone(c.images),
		credentials: maps.Clone(c.credentials),
		servers:     maps.Clone(c.servers),
		frontends:   slices.Clone(c.frontends),
		adjusted:    maps.Clone(c.adjusted),
		problems:    maps.Clone(c.problems),
		entries:     slices.Clone(c.entries),
	}
}
