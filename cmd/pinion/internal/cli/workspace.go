package cli

import (
	"crypto/rand"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"

	engine "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/container"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
)

const (
	envWorkspaceID = "WORKSPACE_ID"
	envPlatformURL = "PLATFORM_URL"
	envMoleculeURL = "MOLECULE_URL"
)

// configPath is where a workspace has its configuration.
const configPath = "/configs"

// workspaceVariables returns the variables of Pinion's environment that a container gets.
func workspaceVariables() []string {
	return []string{envWorkspaceID, "WORKSPACE_CONFIG_PATH", "MODEL_PROVIDER", "TIER",
		envPlatformURL, envMoleculeURL, "PARENT_ID"}
}

// workspaceDefaults returns the variables without which the runtime does not start. They are paths
// in the container, so PLUGINS_DIR and PYTHONPATH of this machine do not count.
// WORKSPACE_CONFIG_PATH does, since it is a workspace variable.
func workspaceDefaults() [][2]string {
	return [][2]string{{"WORKSPACE_CONFIG_PATH", configPath}, {"PLUGINS_DIR", "/plugins"},
		{"PYTHONPATH", "/app"}}
}

// environment is the variables of a container, in the order in which they were set first.
type environment struct {
	names  []string
	values map[string]string
}

func (e *environment) set(name, value string) {
	if e.values == nil {
		e.values = map[string]string{}
	}
	if !e.has(name) {
		e.names = append(e.names, name)
	}
	e.values[name] = value
}

func (e *environment) has(name string) bool { return slices.Contains(e.names, name) }

func (e *environment) list() (list []string) {
	for _, name := range e.names {
		if name != "" {
			list = append(list, name+"="+e.values[name])
		}
	}
	return list
}

// workspaceEnv returns the container's environment: the values of --env-file and --env, the
// workspace's variables that are not among them, and the runtime's defaults.
func workspaceEnv(
	fromFiles, values []string, lookup func(string) (string, bool),
) (*environment, error) {
	env, omitted := &environment{}, map[string]bool{}
	for i, v := range slices.Concat(fromFiles, values) {
		name, value, hasValue := strings.Cut(v, "=")
		if name == "" || strings.ContainsRune(v, 0) {
			if i < len(fromFiles) {
				return nil, flags.Errorf("--env-file: %q is not NAME=value", v)
			}
			return nil, flags.Errorf("--env %q: use NAME=value or NAME", v)
		}
		if !hasValue {
			if value, hasValue = lookup(name); !hasValue {
				omitted[name] = true
				continue
			}
		}
		env.set(name, value)
	}
	add := func(name, value string) {
		if value != "" && !omitted[name] && !env.has(name) {
			env.set(name, value)
		}
	}
	for _, name := range workspaceVariables() {
		value, _ := lookup(name)
		if value == "" && name == envWorkspaceID {
			value = newWorkspaceID()
		}
		add(name, value)
	}
	add(envMoleculeURL, env.values[envPlatformURL])
	for _, d := range workspaceDefaults() {
		add(d[0], d[1])
	}
	return env, nil
}

// The labels of a workspace's container.
const (
	labelWorkspace = "app.moleculesai.workspace.id"
	labelRuntime   = "app.moleculesai.workspace.runtime"
)

// checkWorkspaceID refuses an ID that would give the container and the volumes of a workspace the
// names of another's, or other meanings.
func checkWorkspaceID(id string) error {
	switch {
	case id == "":
		return flags.Errorf("--workspace: %s is empty, so workspaces would share volumes; set it, "+
			"or leave it out to have one made", envWorkspaceID)
	case strings.Trim(id, workspaceIDDigits) != "":
		return flags.Errorf("--workspace: the %s %q has other characters than letters, digits "+
			"and _.-", envWorkspaceID, id)
	}
	return nil
}

// workspaceIDDigits are what Docker lets the names of containers and volumes have.
const workspaceIDDigits = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"

// asWorkspace gives the container of a template what a workspace server gives it, as far as the
// caller did not say otherwise.
func asWorkspace(to *container.Spec, template string, env *environment) {
	id := env.values[envWorkspaceID]
	if to.Name == "" {
		to.Name = "ws-" + id
	}
	for label, value := range map[string]string{labelWorkspace: id, labelRuntime: template} {
		if _, set := to.Labels[label]; !set {
			to.Labels[label] = value
		}
	}
	for _, v := range [][2]string{{"configs", configPath}, {"workspace", "/workspace"}} {
		if !mounts(to, v[1]) {
			to.Host.Binds = append(to.Host.Binds, "ws-"+id+"-"+v[0]+":"+v[1])
		}
	}
	port := network.MustParsePort("8000/tcp")
	if _, set := to.Host.PortBindings[port]; !set && !to.Host.NetworkMode.IsHost() {
		to.Host.PortBindings[port] = []network.PortBinding{
			{HostIP: netip.AddrFrom4([4]byte{127, 0, 0, 1})}}
	}
	if to.Host.RestartPolicy.Name == "" && !to.Remove {
		to.Host.RestartPolicy.Name = engine.RestartPolicyUnlessStopped
	}
	if to.Host.LogConfig.Type == "" && len(to.Host.LogConfig.Config) == 0 {
		to.Host.LogConfig = engine.LogConfig{Type: "json-file",
			Config: map[string]string{"max-size": "10m", "max-file": "3"}}
	}
}

// mounts reports whether something is mounted at a path of the container.
func mounts(s *container.Spec, path string) bool {
	for _, bind := range s.Host.Binds {
		if parts := strings.Split(bind, ":"); slices.Contains(parts[1:], path) {
			return true
		}
	}
	for _, m := range s.Host.Mounts {
		if m.Target == path {
			return true
		}
	}
	_, inMemory := s.Host.Tmpfs[path]
	return inMemory || slices.Contains(s.Volumes, path)
}

// newWorkspaceID returns a random UUID, version 4 (RFC 9562).
func newWorkspaceID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never returns an error
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}
