package errdef

import "errors"

// Situation names what is wrong where a program can tell its user how to mend it. An error's text
// says what is wrong; what to run or to set depends on the program, which looks it up by the
// situation.
type Situation string

// The situations. The comment says what the detail is, if there is one.
const (
	// EngineUnreachable: no Docker engine answers at an address.
	EngineUnreachable Situation = "engine unreachable"
	// SBOMRequested: an SBOM was requested with the build, which makes none.
	SBOMRequested Situation = "SBOM requested"
	// ConfigMissing: the configuration file that the user names does not exist.
	ConfigMissing Situation = "configuration file missing"
	// PlainHTTPPrefix: the repository prefix is an http URL of a host that isn't loopback.
	PlainHTTPPrefix Situation = "repository prefix with http"
	// CacheFolderWritable: group or others may write to the cache folder. The detail is its path.
	CacheFolderWritable Situation = "cache folder writable by others"
	// CacheFolderUnsuitable: the cache folder is a link or no folder, or belongs to another user.
	CacheFolderUnsuitable Situation = "cache folder unsuitable"
	// CommitOffBranch: the commit is not on the template's branch.
	CommitOffBranch Situation = "commit off the branch"
)

// situationError is an error in a situation. Its text is that of err.
type situationError struct {
	error
	situation Situation
	detail    string
}

func (e *situationError) Unwrap() error { return e.error }

// In returns err in the situation s, nil if err is nil. The text of the error stays as it is. The
// detail is what the advice names, such as a host; it may be empty.
func In(s Situation, detail string, err error) error {
	if err == nil {
		return nil
	}
	return &situationError{error: err, situation: s, detail: detail}
}

// SituationOf returns the outermost situation that err is in and its detail, or "" if there is
// none.
func SituationOf(err error) (s Situation, detail string) {
	if at, ok := errors.AsType[*situationError](err); ok {
		return at.situation, at.detail
	}
	return "", ""
}
