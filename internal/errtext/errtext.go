// Package errtext keeps the texts of errors readable: what a proxy answers is a page for a browser,
// and what a builder says can be longer than a screen.
//
// It guarantees that an error's chain stays as it is: errors.Is and errors.As find what they found
// before.
package errtext

import (
	"fmt"
	"html"
	"strings"
	"unicode/utf8"

	"git.moleculesai.app/molecule-ai/pinion/internal/lazy"
)

// MaxBytes is the greatest length of a text after [Short].
const MaxBytes = 4 << 10

// shownAtEnd is how much of a text that is cut comes from its end, where the cause is.
const shownAtEnd = MaxBytes / 4

// textError is an error with another text.
type textError struct {
	error
	text string
}

func (e *textError) Error() string { return e.text }
func (e *textError) Unwrap() error { return e.error }

func withText(err error, text string) error {
	if err == nil || text == err.Error() {
		return err
	}
	return &textError{err, text}
}

// Plain returns err without HTML: of a page, its title stays, or its words if it has none.
func Plain(err error) error {
	if err == nil {
		return nil
	}
	return withText(err, plain(err.Error()))
}

// The patterns are compiled at their first use: few errors hold a page.
var (
	page = lazy.Regexp(`(?is)(<!doctype html|<html|<head|<body)\b` +
		`(.*</html>(\\[nrt])*|.*</body>|.*)`)
	title   = lazy.Regexp(`(?is)<title[^>]*>(.*?)</title>`)
	unshown = lazy.Regexp(`(?is)<(script|style)\b.*?</(script|style)>|<!--.*?-->`)
	tag     = lazy.Regexp(`(?s)<[^>]*>?`)
)

// quoted has the escapes of a page that an error quotes.
var quoted = strings.NewReplacer(`\n`, " ", `\r`, " ", `\t`, " ", `\"`, `"`)

func plain(text string) string {
	if !strings.Contains(text, "<") {
		return text
	}
	return strings.TrimSpace(page().ReplaceAllStringFunc(text, func(p string) string {
		found := title().FindStringSubmatch(p)
		if found != nil && strings.TrimSpace(found[1]) != "" {
			p = found[1]
		}
		p = unshown().ReplaceAllString(p, " ")
		p = html.UnescapeString(tag().ReplaceAllString(quoted.Replace(p), " "))
		return strings.Join(strings.Fields(p), " ")
	}))
}

// IsLong reports whether the text of err is longer than MaxBytes.
func IsLong(err error) bool { return err != nil && len(err.Error()) > MaxBytes }

// Short returns err as [Plain] does, with at most MaxBytes of its text: the beginning and the end.
func Short(err error) error {
	if err == nil {
		return nil
	}
	return withText(err, ShortText(err.Error()))
}

// ShortText is Short for the text of an error. What is redacted by its form must be so before.
func ShortText(text string) string {
	text = plain(text)
	if len(text) <= MaxBytes {
		return text
	}
	note := fmt.Sprintf(" ... [%d bytes in all] ... ", len(text))
	head := strings.TrimRightFunc(text[:MaxBytes-shownAtEnd-len(note)], isBroken)
	tail := strings.TrimLeftFunc(text[len(text)-shownAtEnd:], isBroken)
	return head + note + tail
}

// isBroken reports whether a rune is a part of one that was cut.
func isBroken(r rune) bool { return r == utf8.RuneError }
