package cli

import (
	"crypto/rand"
	"encoding/hex"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
)

const envWorkspaceID = "WORKSPACE_ID"

// workspaceVariables returns the variables that a workspace server passes to its containers.
func workspaceVariables() []string {
	return []string{envWorkspaceID, "WORKSPACE_CONFIG_PATH", "MODEL_PROVIDER", "TIER",
		"PLATFORM_URL", "PARENT_ID"}
}

// workspaceEnv returns the container's environment: the values of --env, and the workspace's
// variables that are not among them.
func workspaceEnv(values []string, lookup func(string) (string, bool)) (env []string, err error) {
	names := map[string]bool{}
	for _, v := range values {
		name, _, hasValue := strings.Cut(v, "=")
		if name == "" || strings.ContainsRune(v, 0) {
			return nil, flags.Errorf("--env %q: use NAME=value or NAME", v)
		}
		names[name] = true
		if !hasValue {
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

// newWorkspaceID returns a random UUID, version 4 (RFC 9562).
func newWorkspaceID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never returns an error
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}
