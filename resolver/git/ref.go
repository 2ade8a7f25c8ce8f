package git

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	headsPrefix  = "refs/heads/"
	tagsPrefix   = "refs/tags/"
	maxPartLen   = 255 // bytes; loose refs are files, and file systems stop there
	maxBranchLen = 1024
)

// Ref is HEAD, or one branch, tag or pull request under its full name. It is comparable; the zero
// value is HEAD.
type Ref struct {
	branch, tag string
	pull        int
}

// HEAD is the server's default branch.
var HEAD Ref

// ParseBranch takes a branch's short name ("main") or its full one
// ("refs/heads/main"). It follows git-check-ref-format(1), and refuses more: a
// leading "-" (an option to git) and characters that can't be seen. A name that
// looks like a commit is a branch here.
func ParseBranch(name string) (Ref, error) {
	short, isFull := strings.CutPrefix(name, headsPrefix)
	reason := branchFault(short)
	switch {
	case isFull || reason != "":
	case name == "HEAD" || name == "@":
		reason = "it is no branch but what the server's HEAD is; leave the branch out to follow it"
	case strings.HasPrefix(name, "refs/"):
		reason = "only refs/heads/ names branches"
	}
	if reason != "" {
		return Ref{}, invalid("branch", name, reason)
	}
	return Ref{branch: short}, nil
}

// ParseTag takes a tag's short name ("v1.2") or its full one ("refs/tags/v1.2"), by the rules of
// [ParseBranch].
func ParseTag(name string) (Ref, error) {
	short, isFull := strings.CutPrefix(name, tagsPrefix)
	reason := branchFault(short)
	switch {
	case isFull || reason != "":
	case name == "HEAD" || name == "@":
		reason = "it is no tag but what the server's HEAD is"
	case strings.HasPrefix(name, "refs/"):
		reason = "only refs/tags/ names tags"
	}
	if reason != "" {
		return Ref{}, invalid("tag", name, reason)
	}
	return Ref{tag: short}, nil
}

// MaxPullRequest is the highest number of a pull request.
const MaxPullRequest = 1<<31 - 1

// PullRequest returns the ref of the head of a pull request, by its number.
func PullRequest(number int) (Ref, error) {
	if number < 1 || number > MaxPullRequest {
		return Ref{}, invalid("pull request", strconv.Itoa(number), "its number is from 1 to "+
			strconv.Itoa(MaxPullRequest))
	}
	return Ref{pull: number}, nil
}

func branchFault(name string) string {
	switch {
	case name == "":
		return "the name is empty"
	case len(name) > maxBranchLen:
		return "the name is longer than 1024 bytes"
	case name[0] == '-':
		return `a name that starts with "-" is an option to git`
	case strings.Contains(name, "@{"), strings.Contains(name, ".."), strings.HasSuffix(name, "."):
		return `"@{", ".." and a "." at the end have a meaning of their own in git`
	case !utf8.ValidString(name):
		return "the name isn't UTF-8"
	case strings.ContainsFunc(name, isForbiddenInBranch):
		return `spaces, invisible characters and any of ~^:?*[\ aren't allowed`
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") ||
			len(part) > maxPartLen {
			return `a part between slashes can't be empty, start with ".", end with ".lock", or ` +
				"be longer than 255 bytes"
		}
	}
	return ""
}

func isForbiddenInBranch(r rune) bool {
	const zeroWidthNonJoiner, zeroWidthJoiner = '\u200c', '\u200d' // of scripts and emoji
	return strings.ContainsRune(` ~^:?*[\`, r) || unicode.IsControl(r) ||
		unicode.Is(unicode.Cf, r) && r != zeroWidthNonJoiner && r != zeroWidthJoiner
}

// String returns "HEAD" or the full name: "refs/heads/main", "refs/tags/v1.2" or
// "refs/pull/7/head".
func (r Ref) String() string {
	switch {
	case r.IsHEAD():
		return "HEAD"
	case r.pull != 0:
		return "refs/pull/" + strconv.Itoa(r.pull) + "/head"
	case r.tag != "":
		return tagsPrefix + r.tag
	}
	return headsPrefix + r.branch
}

// Branch returns a branch's short name, "" for all others.
func (r Ref) Branch() string { return r.branch }

// Tag returns a tag's short name, "" for all others.
func (r Ref) Tag() string { return r.tag }

// PullRequest returns the number of a pull request, 0 for all others.
func (r Ref) PullRequest() int { return r.pull }

// IsHEAD reports whether r is HEAD, the zero value.
func (r Ref) IsHEAD() bool { return r == HEAD }
