package resolver

import (
	"encoding/json"
	"fmt"
	"reflect"
	"time"
)

// ConfigSchema returns a JSON schema of the configuration file, for editors. It is made from the
// types that the file is decoded into.
func ConfigSchema() ([]byte, error) {
	s, err := schemaOf(reflect.TypeFor[config](), "")
	if err != nil {
		return nil, err
	}
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "Pinion's config file"
	text, err := json.MarshalIndent(s, "", "  ")
	return append(text, '\n'), err
}

// keywords are those of JSON schema, with their values.
type keywords = map[string]any

// schemaOf returns the schema of a type at a path of keys, such as "templates.name".
func schemaOf(t reflect.Type, path string) (keywords, error) {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return keywords{"type": "string", "pattern": `^([0-9.]+(ns|us|µs|ms|s|m|h))+$`}, nil
	case t == reflect.TypeFor[*argConfig]():
		file, err := schemaOf(t.Elem(), path)
		return keywords{"anyOf": []any{
			keywords{"type": []string{"string", "number", "boolean", "null"}}, file,
		}}, err
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem(), path)
	case reflect.String:
		return keywords{"type": "string"}, nil
	case reflect.Bool:
		return keywords{"type": "boolean"}, nil
	case reflect.Int:
		return keywords{"type": "integer"}, nil
	case reflect.Slice:
		items, err := schemaOf(t.Elem(), path)
		return keywords{"type": []string{"array", "null"}, "items": items}, err
	case reflect.Map:
		values, err := schemaOf(t.Elem(), path)
		return keywords{"type": "object", "additionalProperties": values}, err
	case reflect.Struct:
		return structSchema(t, path)
	}
	return nil, fmt.Errorf("%s: a %s has no schema", path, t)
}

func structSchema(t reflect.Type, path string) (keywords, error) {
	properties := keywords{}
	var required []string
	fields := fieldsOf(t)
	for _, key := range sortedKeys(fields) {
		at := key
		if path != "" {
			at = path + "." + key
		}
		note, ok := keyNotes[at]
		if !ok {
			return nil, fmt.Errorf("%s has no description", at)
		}
		s, err := schemaOf(fields[key], at)
		if err != nil {
			return nil, err
		}
		s["description"] = note.text
		if note.pattern != "" {
			s["pattern"] = note.pattern
		}
		if note.choices != nil {
			s["enum"] = note.choices
		}
		if note.required {
			required = append(required, key)
		}
		properties[key] = s
	}
	s := keywords{"type": "object", "properties": properties, "additionalProperties": false}
	if required != nil {
		s["required"] = required
	}
	return s, nil
}

// keyNote is what the type of a key does not say.
type keyNote struct {
	text     string
	pattern  string
	choices  []string
	required bool
}

var keyNotes = map[string]keyNote{
	"templates": {text: "Templates, or changes of built-in ones."},
	"templates.name": {text: "What the template is called; that of a built-in template changes it.",
		pattern: `^[a-z0-9]+([._-][a-z0-9]+)*$`, required: true},
	"templates.repo": {text: "URL of the git repository. A built-in template has one already."},
	"templates.branch": {
		text: "Branch whose head is built. The default is the repository's default branch."},
	"templates.tag": {text: "Tag whose commit is built, instead of a branch."},
	"templates.revision": {text: "Full hash of the only commit that is built, instead of a branch.",
		pattern: `^([0-9a-f]{40}|[0-9a-f]{64})$`},
	"templates.subdir": {
		text: "Folder of the build context. The default is the repository's root."},
	"templates.dockerfile": {text: "Path of the Dockerfile below subdir; Dockerfile by default."},
	"templates.root_dockerfile": {
		text: "Path of the Dockerfile below the repository's root, instead of dockerfile."},
	"templates.allow_base_platform": {text: "Allow a base image of another platform than the one " +
		"that is built. The default is false."},
	"templates.submodules": {text: "Fetch the submodules whose repositories are at these hosts, " +
		"or host/path. Another one fails the build. Without this key, none is fetched."},
	"templates.lfs": {text: "Fetch the files that are in Git LFS, from the LFS server of their " +
		"repository. The default is false."},
	"templates.lfs_hosts": {text: "Hosts besides the repository's that lfs may download from: " +
		"an LFS server can have its objects elsewhere. None is sent a credential of Pinion's."},
	"templates.keep_git_dir": {text: "Keep .git in the build context. The default is false."},
	"templates.target":       {text: "Stage of the Dockerfile. The default is the last one."},
	"templates.platform": {
		text: "os/arch[/variant], or native. The default is MOLECULE_IMAGE_PLATFORM."},
	"templates.image": {
		text: "Name of the image below molecule-local/, workspace-template-NAME by default. For " +
			"an image ID or a reference with a digest nothing is built: it is handed out."},
	"templates.allow_insecure_http": {text: "Allow a repo with http on another machine."},
	"templates.timeout": {
		text: "Limit of a build with its unit, such as 20m. The default is PINION_TIMEOUT."},
	"templates.pull_requests": {text: "Build pull requests, each under a name of its own. " +
		"Without this key, none is built."},
	"templates.pull_requests.from": {text: "Whose pull requests are built when a webhook reports " +
		"them: same-repository (the default), anyone, or user:NAME. With an empty list, none is " +
		"built unless it is requested."},
	"templates.pull_requests.keep": {
		text: "Number of images of one pull request that prune keeps; 1 by default."},
	"templates.pull_requests.max_age": {
		text: "Age with its unit, such as 48h, after which prune removes an image of a pull " +
			"request. The default is 336h."},
	"templates.pull_requests.credentials": {
		text: "Let builds of pull requests use registry logins, proxies with a password and, for " +
			"submodules, the git credential. The default is false."},
	"templates.args": {text: "Build arguments by name: a constant, or a mapping that names a " +
		"file of the commit. They are added to those of a built-in template; null removes one."},
	"templates.args.file": {
		text:     "Path below the repository's root. The value is the file's first line.",
		required: true},
	"templates.args.pattern": {text: "Regular expression (RE2) that the whole value must match."},
	"templates.args.version": {
		text: `Remove a package's name before "@" and a leading "v" from the value.`},
	"templates.args.missing": {
		text:    "What follows from a file without a value that fits; omit by default.",
		choices: []string{missingOmit, missingRefuse}},
	"credentials": {text: "Tokens of git servers."},
	"credentials.host": {text: "Host that gets the token, with the port if the URL has one.",
		required: true},
	"credentials.token_env": {
		text:    "Name of the environment variable with the token, never the token.",
		pattern: `^[A-Za-z_][A-Za-z0-9_]*$`, required: true},
	"credentials.user": {
		text: "User name that goes with the token or password. The default is that of a token " +
			"that needs none.",
		pattern: `^[^:]*$`},
	"credentials.user_env": {
		text:    "Name of the environment variable with the user name, instead of user.",
		pattern: `^[A-Za-z_][A-Za-z0-9_]*$`},
	"servers": {text: "How git servers are asked."},
	"servers.host": {text: "Host of the server, with the port if the URL has one.",
		required: true},
	"servers.redirects": {
		text: "Whether a redirect to another repository of this host is followed, as after a " +
			"rename; never by default.",
		choices: []string{redirectsNever, redirectsSameHost}},
	"servers.ca_file": {
		text: "PEM file with certificates that are trusted for this host besides the system's."},
	"servers.client_cert": {text: "PEM file with a certificate to show to the server."},
	"servers.client_key":  {text: "PEM file with the certificate's key."},

	"servers.forge": {
		text: "What serves the server's API. It is known of github.com, gitlab.com and " +
			"codeberg.org.",
		choices: forgeKinds()},
	"servers.status_token_env": {
		text: "Name of the environment variable with a token for commit statuses, which pinion " +
			"serve --watch sends. The default is to send none.",
		pattern: `^[A-Za-z_][A-Za-z0-9_]*$`},

	"frontends": {text: "Images without tag that # syntax= may name besides docker/dockerfile."},
}
