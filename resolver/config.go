package resolver

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/distribution/reference"
	"go.yaml.in/yaml/v3"

	"git.moleculesai.app/molecule-ai/pinion/resolver/arg"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// maxConfig caps a configuration file, in bytes.
const maxConfig = 1 << 20

// config is the file's schema. Decoding is strict: an unknown key is an error.
type config struct {
	Templates   []templateConfig   `yaml:"templates"`
	Credentials []credentialConfig `yaml:"credentials"`
	Frontends   []string           `yaml:"frontends"`
}

type templateConfig struct {
	Name              string `yaml:"name"`
	Repo              string `yaml:"repo"`
	Branch            string `yaml:"branch"`
	Subdir            string `yaml:"subdir"`
	Dockerfile        string `yaml:"dockerfile"`
	Target            string `yaml:"target"`
	Platform          string `yaml:"platform"`
	Image             string `yaml:"image"`
	AllowInsecureHTTP bool   `yaml:"allow_insecure_http"`
	// Timeout is a duration with its unit, for example 20m.
	Timeout time.Duration `yaml:"timeout"`

	Args map[string]argConfig `yaml:"args"`
}

// argConfig is a constant, or a mapping that names a file.
type argConfig struct {
	value   string
	File    string `yaml:"file"`
	Pattern string `yaml:"pattern"`
	Version bool   `yaml:"version"`
	Missing string `yaml:"missing"`
}

// The values of missing.
const (
	missingOmit   = "omit"
	missingRefuse = "refuse"
)

// UnmarshalYAML implements yaml.Unmarshaler.
func (a *argConfig) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		return node.Decode(&a.value)
	}
	// Decoding a node does not keep KnownFields, so the keys are checked here.
	for i := 0; node.Kind == yaml.MappingNode && i < len(node.Content); i += 2 {
		known := []string{"file", "pattern", "version", "missing"}
		if key := node.Content[i]; !slices.Contains(known, key.Value) {
			return fmt.Errorf("line %d: field %s not found in a build argument",
				key.Line, key.Value)
		}
	}
	type fields argConfig
	return node.Decode((*fields)(a))
}

// rule returns the rule of an entry.
func (a argConfig) rule(name string) (arg.Rule, error) {
	switch a.Missing {
	case "", missingOmit, missingRefuse:
	default:
		return arg.Rule{}, fmt.Errorf("%w: build argument %s: missing is %s or %s, not %s",
			ErrInvalidInput, quote(name), missingOmit, missingRefuse, quote(a.Missing))
	}
	return arg.Rule{Name: name, Value: a.value, File: a.File, Pattern: a.Pattern,
		Version: a.Version, Required: a.Missing == missingRefuse}, nil
}

type credentialConfig struct {
	Host     string `yaml:"host"`
	TokenEnv string `yaml:"token_env"`
}

// AddFile adds the templates, credentials and frontends of a YAML file. With an
// error it adds none of them. The error is an *Error: around fs.ErrNotExist if there
// is no such file, around ErrInvalidInput if its content is refused, with the
// line of an unknown or misspelt key.
func (c *Catalogue) AddFile(path string) error {
	next, err := c.withFile(path)
	if err != nil {
		return &Error{Op: "read configuration " + path, Err: err}
	}
	*c = *next
	return nil
}

func (c *Catalogue) withFile(path string) (*Catalogue, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	cfg, err := decodeConfig(file)
	if err != nil {
		return nil, err
	}
	next := c.clone()
	for i, entry := range cfg.Templates {
		if err := next.addConfig(entry); err != nil {
			return nil, fmt.Errorf("templates, entry %d: %w", i+1, err)
		}
	}
	for i, entry := range cfg.Credentials {
		if err := next.addCredential(entry); err != nil {
			return nil, fmt.Errorf("credentials, entry %d: %w", i+1, err)
		}
	}
	for i, image := range cfg.Frontends {
		if err := next.addFrontend(image); err != nil {
			return nil, fmt.Errorf("frontends, entry %d: %w", i+1, err)
		}
	}
	return next, nil
}

func decodeConfig(r io.Reader) (config, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxConfig+1))
	if err != nil {
		return config{}, err
	}
	if len(text) > maxConfig {
		return config{}, fmt.Errorf("%w: the file is larger than 1 MiB", ErrInvalidInput)
	}
	return parseConfig(text)
}

func (c *Catalogue) addConfig(entry templateConfig) error {
	t := Template{
		Name:       entry.Name,
		Subdir:     entry.Subdir,
		Dockerfile: entry.Dockerfile,
		Target:     entry.Target,
		Platform:   entry.Platform,
		Image:      entry.Image,
		Timeout:    entry.Timeout,
	}
	if err := checkName(entry.Name); err != nil {
		return err
	}
	var opts []git.RemoteOption
	if entry.AllowInsecureHTTP {
		opts = append(opts, git.AllowInsecureHTTP())
	}
	var err error
	t.Remote, err = git.ParseRemote(entry.Repo, opts...)
	if errors.Is(err, git.ErrPlainHTTP) {
		err = fmt.Errorf("%w, and the entry does not set allow_insecure_http", err)
	}
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(entry.Args)) {
		rule, err := entry.Args[name].rule(name)
		if err != nil {
			return err
		}
		t.Args = append(t.Args, rule)
	}
	if entry.Branch != "" {
		if t.Ref, err = git.ParseBranch(entry.Branch); err != nil {
			return err
		}
	}
	return c.add(t)
}

func (c *Catalogue) addCredential(entry credentialConfig) error {
	remote, err := git.ParseRemote("https://" + entry.Host + "/host")
	if err != nil || remote.Path() != "host" {
		return fmt.Errorf("%w: host %s: give a host name, with its port if it has one",
			ErrInvalidInput, quote(entry.Host))
	}
	if !isEnvName(entry.TokenEnv) {
		// The error doesn't repeat it: it may be the token.
		return fmt.Errorf("%w: token_env of host %s: give the name of an environment variable, "+
			"never the token itself",
			ErrInvalidInput, remote.Host())
	}
	if _, taken := c.tokenEnvs[remote.Host()]; taken {
		return fmt.Errorf("%w: host %s has a credential already", ErrInvalidInput, remote.Host())
	}
	c.tokenEnvs[remote.Host()] = entry.TokenEnv
	return nil
}

// addFrontend accepts a name without tag and digest: a tag moves with each push, so it would not
// restrict anything.
func (c *Catalogue) addFrontend(image string) error {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil || !reference.IsNameOnly(named) {
		return fmt.Errorf("%w: %s: give an image's name without tag and digest, for example "+
			"docker.io/team/frontend", ErrInvalidInput, quote(image))
	}
	if slices.Contains(c.frontends, named.Name()) {
		return fmt.Errorf("%w: %s is there already", ErrInvalidInput, quote(image))
	}
	c.frontends = append(c.frontends, named.Name())
	return nil
}

func parseConfig(text []byte) (config, error) {
	var cfg config
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	err := decoder.Decode(&cfg)
	if errors.Is(err, io.EOF) { // nothing but comments
		return config{}, nil
	}
	if err != nil {
		return config{}, fmt.Errorf("%w: %w", ErrInvalidInput, err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return config{}, fmt.Errorf("%w: there is more than one document in the file",
			ErrInvalidInput)
	}
	return cfg, nil
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
