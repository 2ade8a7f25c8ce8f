// Package buildversion determines the version of a Pinion binary. It guarantees that the binaries
// of one build have the same version, and nothing about the format of a version.
package buildversion

import "runtime/debug"

// Of returns the version that the linker set (-ldflags "-X main.version=v1.2.3"), otherwise the one
// that the go command embedded in the binary, otherwise "(devel)".
func Of(linked string) string {
	if linked != "" {
		return linked
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
