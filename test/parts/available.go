package parts

import (
	"context"
	"fmt"
)

// Names of what Available knows, besides the flavours.
const (
	NameGitea     = "gitea"
	NameBuildkitd = "buildkitd"
	NameRegistry  = "registry"
	NameBuildx    = "buildx"
	NameGit       = "git"
	NameBusybox   = "busybox"
	// NameDocker is Docker's client.
	NameDocker = "docker"
	// Names of what the shell lines of the documents use.
	NameBash    = "bash"
	NameCurl    = "curl"
	NameJQ      = "jq"
	NameOpenSSL = "openssl"
	// NamePromtool checks rules and queries for Prometheus.
	NamePromtool = "promtool"
	// NameChromium is the browser, and NameAxe the rules of accessibility that it runs.
	NameChromium = "chromium"
	NameAxe      = "axe-core"
	// NameRunc is what the managed BuildKit needs: root, runc and git.
	NameRunc = "runc"
)

// AvailableNames are all names that Available knows.
func AvailableNames() []string {
	names := []string{NameGitea, NameBuildkitd, NameRegistry, NameBuildx, NameGit, NameBusybox,
		NameDocker, NameRunc, NamePromtool, NameChromium, NameAxe, NameBash, NameCurl, NameJQ,
		NameOpenSSL}
	for _, f := range Flavours() {
		names = append(names, string(f))
	}
	return names
}

// Available says whether this machine can run a part. The error wraps ErrMissing or ErrNeedsRoot
// and says what to do.
func Available(ctx context.Context, name string) error {
	var err error
	switch name {
	case NameGitea:
		_, err = locateAll("gitea", "git")
	case NameBuildkitd:
		if err = requireRoot(name); err == nil {
			_, err = locateAll("buildkitd", "runc", "git")
		}
	case NameRunc:
		if err = requireRoot("a build with runc"); err == nil {
			_, err = locateAll("runc", "git")
		}
	case NameRegistry:
		if _, err = Locate("registry"); err == nil {
			_, err = Locate("registry-passwd")
		}
	case NameBuildx:
		_, err = locateTool("buildx")
	case NameGit, NameBusybox, NameDocker, NamePromtool, NameChromium, NameBash, NameCurl, NameJQ,
		NameOpenSSL:
		_, err = locateSystem(name)
	case NameAxe:
		_, err = LocateAxe()
	case string(Docker20), string(Docker29Classic), string(Docker29Containerd):
		err = Flavour(name).Available(ctx)
	default:
		err = fmt.Errorf("no part is called %q", name)
	}
	return err
}
