// Package exitcode has the exit codes of the command line. The server's answers name them too.
package exitcode

import "git.moleculesai.app/molecule-ai/pinion"

// The exit codes. A Go panic exits with 2, so 2 is not among them.
const (
	OK           = 0
	General      = 1
	NotFound     = 10
	Unauthorized = 11
	Unreachable  = 12
	NoBuilder    = 13
	Store        = 14
	Verification = 15
	Lock         = 16
	Build        = 20
	Usage        = 64
	// Container is the code of `docker run` for an engine that did not create or start the
	// container.
	Container = 125
	Cancelled = 130
)

var codes = map[pinion.Class]int{
	pinion.ClassUsage:        Usage,
	pinion.ClassNotFound:     NotFound,
	pinion.ClassUnauthorized: Unauthorized,
	pinion.ClassUnreachable:  Unreachable,
	pinion.ClassNoBuilder:    NoBuilder,
	pinion.ClassStore:        Store,
	pinion.ClassVerification: Verification,
	pinion.ClassLock:         Lock,
	pinion.ClassBuild:        Build,
	pinion.ClassStalled:      Build,
	pinion.ClassTimeLimit:    Build,
	pinion.ClassCancelled:    Cancelled,
}

// Of returns the exit code for a failure of a class.
func Of(c pinion.Class) int {
	if code, ok := codes[c]; ok {
		return code
	}
	return General
}
