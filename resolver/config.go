package resolver

import (
	"fmt"
	"time"

	"go.yaml.in/yaml/v3"

	"git.moleculesai.app/molecule-ai/pinion/resolver/arg"
)

// config is the schema of a configuration file. [ConfigSchema] is made from it.
type config struct {
	Templates   []templateConfig   `yaml:"templates"`
	Credentials []credentialConfig `yaml:"credentials"`
	Servers     []serverConfig     `yaml:"servers"`
	Frontends   []string           `yaml:"frontends"`
}

// templateConfig describes a template, or changes a built-in one.
type templateConfig struct {
	Name              string `yaml:"name"`
	Repo              string `yaml:"repo"`
	Branch            string `yaml:"branch"`
	Tag               string `yaml:"tag"`
	Revision          string `yaml:"revision"`
	Subdir            string `yaml:"subdir"`
	Dockerfile        string `yaml:"dockerfile"`
	RootDockerfile    string `yaml:"root_dockerfile"`
	Target            string `yaml:"target"`
	Platform          string `yaml:"platform"`
	Image             string `yaml:"image"`
	AllowInsecureHTTP bool   `yaml:"allow_insecure_http"`
	KeepGitDir        *bool  `yaml:"keep_git_dir"`
	AllowBasePlatform *bool  `yaml:"allow_base_platform"`
	// Submodules are the hosts, or host/path, whose repositories may be submodules.
	Submodules []string `yaml:"submodules"`
	LFS        *bool    `yaml:"lfs"`
	// LFSHosts are hosts besides the repository's that objects may be downloaded from.
	LFSHosts []string `yaml:"lfs_hosts"`
	// Timeout is a duration with its unit, for example 20m.
	Timeout time.Duration `yaml:"timeout"`
	// PullRequests opts in to builds of pull requests.
	PullRequests *pullRequestsConfig `yaml:"pull_requests"`

	// Args are by name. A nil one removes the rule of the built-in template.
	Args map[string]*argConfig `yaml:"args"`
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
		Version: a.Version, Required: a.Missing == missingRefuse}.Check()
}
