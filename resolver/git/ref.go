package git

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	headsPrefix  = "refs/heads/"
	tagsPrefix   = "refs/tags/"
	maxBranchLen = 255 // bytes; loose refs are files, and file systems stop there
)

// Ref is HEAD, or one branch or tag under its full name. It is comparable; the zero
// value is HEAD.
type Ref struct{ branch, tag string }

// HEAD is the server's default branch.
var HEAD Ref

// ParseBranch takes a branch's short name ("main") or its full one
// ("refs/heads/main"). It follows git-check-ref-format(1), and refuses more: a
// leading "-" (an option to git), "#" (splits BuildKit's URLs) and characters
// that can't be seen. A name that looks like a commit is a branch here.
func ParseBranch(name string) (Ref, error) {
	short := strings.TrimPrefix(name, headsPrefix)
	if reason := branchFault(short); reason != "" {
		return Ref{}, invalid("branch", name, reason)
	}
	return Ref{branch: short}, nil
}

// ParseTag takes a tag's short name ("v1.2") or its full one ("refs/tags/v1.2"), by the rules of
// [ParseBranch].
func ParseTag(name string) (Ref, error) {
	short := strings.TrimPrefix(name, tagsPrefix)
	reason := branchFault(short)
	if strings.HasPrefix(short, "refs/") {
		reason = "only refs/tags/ names tags"
	}
	if reason != "" {
		return Ref{}, invalid("tag", name, reason)
	}
	return Ref{tag: short}, nil
}

func branchFault(name string) string {
	switch {
	case name == "":
		return "the name is empty"
	case len(name) > maxBranchLen:
		return "the name is longer than 255 bytes"
	case name == "HEAD":
		return "HEAD isn't a branch; leave the branch out to follow it"
	case strings.HasPrefix(name, "refs/"):
		return "only refs/heads/ names branches"
	case name == "@", strings.Contains(name, "@{"), strings.Contains(name, ".."),
		strings.HasSuffix(name, "."):
		return `"@", "@{", ".." and a "." at the end have a meaning of their own in git`
	case !utf8.ValidString(name):
		return "the name isn't UTF-8"
	case strings.ContainsFunc(name, isForbiddenInBranch):
		return `spaces, invisible characters and any of ~^:?*[\# aren't allowed`
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '.' || part[0] == '-' || strings.HasSuffix(part, ".lock") {
			return `a part between slashes can't be empty, start with "." or "-", or end ` +
				`with ".lock"`
		}
	}
	return ""
}

func isForbiddenInBranch(r rune) bool {
	return r == ' ' || strings.ContainsRune(`~^:?*[\#`, r) || !unicode.IsPrint(r)
}

// String returns "HEAD" or the full name, "refs/heads/main" or "refs/tags/v1.2".
func (r Ref) String() string {
	switch {
	case r.IsHEAD():
		return "HEAD"
	case r.tag != "":
		return tagsPrefix + r.tag
	}
	return headsPrefix + r.branch
}

// Branch returns a branch's short name, "" for HEAD and tags.
func (r Ref) Branch() string { return r.branch }

// Tag returns a tag's short name, "" for HEAD and branches.
func (r Ref) Tag() string { return r.tag }

// IsHEAD reports whether r is HEAD, the zero value.
func (r Ref) IsHEAD() bool { return r == HEAD }
