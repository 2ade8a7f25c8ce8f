// Package buildversion says which version of Pinion a binary is. Two binaries of one build say the
// same.
package buildversion

import "runtime/debug"

// Of takes what the linker was told (-ldflags "-X main.version=v1.2.3"), else what the go command
// has put into the binary, else "(devel)".
func Of(linked string) string {
	if linked != "" {
		return linked
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
