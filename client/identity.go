package client

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"
)

// settings are the environment variables that Pinion reads, by prefix. Those of credentials for
// single hosts have any name; a server that runs keeps what it has of them.
var settings = []string{"MOLECULE_", "PINION_", "DOCKER_", "BUILDKIT_", "BUILDX_", "HOME=",
	"XDG_CACHE_HOME=", "XDG_CONFIG_HOME=", "HTTP_PROXY=", "HTTPS_PROXY=", "NO_PROXY="}

// identity returns a short name of the server's settings: servers with different ones do not share
// a socket. A new version of the program gets a new server.
func (s *starter) identity() (string, error) {
	info, err := os.Stat(s.program)
	if err != nil {
		return "", err
	}
	parts := append([]string{s.program, fmt.Sprint(info.Size(), info.ModTime().UnixNano()),
		s.idleExit.String()}, s.flags...)
	for _, v := range serverEnv() {
		if slices.ContainsFunc(settings, func(prefix string) bool {
			return strings.HasPrefix(strings.ToUpper(v), prefix)
		}) {
			parts = append(parts, v)
		}
	}
	slices.Sort(parts[3+len(s.flags):])
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:6]), nil
}
