package cli

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
)

const envWorkspaceID = "WORKSPACE_ID"

// workspaceVariables are those that a workspace server gives to its containers.
func workspaceVariables() []string {
	return []string{envWorkspaceID, "WORKSPACE_CONFIG_PATH", "MODEL_PROVIDER", "TIER",
		"PLATFORM_URL", "PARENT_ID"}
}

// workspaceEnv is what the container gets: the workspace's variables from the environment, and over
// them those that were given.
func workspaceEnv(given []string, lookup func(string) (string, bool)) (env []string, err error) {
	names := map[string]bool{}
	for _, v := range given {
		name, _, valued := strings.Cut(v, "=")
		if name == "" || strings.ContainsRune(v, 0) {
			return nil, usage("--env %q: write NAME=value, or NAME alone", v)
		}
		names[name] = true
		if !valued {
			value, ok := lookup(name)
			if !ok {
				continue
			}
			v = name + "=" + value
		}
		env = append(env, v)
	}
	for _, name := range workspaceVariables() {
		if names[name] {
			continue
		}
		value, _ := lookup(name)
		if value == "" && name == envWorkspaceID {
			value = newWorkspaceID()
		}
		if value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env, nil
}

// newWorkspaceID has the form of a UUID, version 4 (RFC 9562).
func newWorkspaceID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}
