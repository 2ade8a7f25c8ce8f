package git

import (
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ParseSubdir cleans a relative path inside a repository; "" and "." give "",
// the root. It refuses what leaves the tree or means something to a shell, a
// URL or git: an absolute path, "..", a part with a leading "-", any of #:?%\
// and invisible characters. Symbolic links can't be seen here; they
// must be checked in the fetched tree.
func ParseSubdir(s string) (string, error) {
	if reason := subdirFault(s); reason != "" {
		return "", invalid("subdirectory", s, reason)
	}
	if cleaned := path.Clean(s); cleaned != "." {
		return cleaned, nil
	}
	return "", nil
}

func subdirFault(s string) string {
	switch {
	case strings.HasPrefix(s, "/"):
		return "give it relative to the repository's root"
	case !utf8.ValidString(s):
		return "the path isn't UTF-8"
	case strings.ContainsFunc(s, func(r rune) bool {
		return strings.ContainsRune(`#:?%\`, r) || !unicode.IsPrint(r)
	}):
		return `invisible characters and any of #:?%\ aren't allowed`
	}
	for part := range strings.SplitSeq(s, "/") {
		if part == ".." {
			return `".." isn't allowed`
		}
		if strings.HasPrefix(part, "-") {
			return `no part may start with "-"`
		}
	}
	return ""
}
