// Package termtext makes foreign text harmless on a terminal and in a log: text
// of a Git server, a builder or a Dockerfile's step may hold escape sequences
// that move the cursor, or bidi characters that reorder a line.
//
// The guarantee: the result is valid UTF-8 and holds no control character but
// newline and tab, and no invisible format character but the two joiners that
// scripts and emoji need. What isn't guaranteed: that the original can be restored.
package termtext

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	zeroWidthNonJoiner = '\u200c'
	zeroWidthJoiner    = '\u200d'
)

// Sanitize makes control, escape and bidi characters visible as \x1b or \u202e.
// Newline and tab stay, CRLF becomes a newline. Sanitizing twice changes
// nothing more, and clean text is returned as it is.
func Sanitize(s string) string {
	if isClean(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	s = strings.ReplaceAll(s, "\r\n", "\n")
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case !isHarmful(r):
			b.WriteString(s[:size])
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		s = s[size:]
	}
	return b.String()
}

func isClean(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, isHarmful)
}

func isHarmful(r rune) bool {
	switch r {
	case '\n', '\t', zeroWidthNonJoiner, zeroWidthJoiner:
		return false
	}
	if r < utf8.RuneSelf {
		return r < ' ' || r == '\x7f'
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}
