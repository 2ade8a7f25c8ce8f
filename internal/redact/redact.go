// Package redact takes secrets out of text before it reaches a log, an error or
// a terminal.
//
// The guarantee: no secret that a Redactor knows is left in its output as
// itself, quoted, URL-escaped or in base64, alone or inside a longer base64
// text such as an Authorization header; nor is any URL's userinfo, known or
// not. What isn't guaranteed: other encodings (hex, gzip), and a secret that is
// split between two texts.
package redact

import (
	"errors"
	"slices"
	"strings"
)

// Mask takes the place of a secret.
const Mask = "***"

// Redactor replaces a fixed set of secrets. It is safe for concurrent use; a
// nil Redactor masks URL userinfo alone.
type Redactor struct{ replacer *strings.Replacer }

// New returns a Redactor. Empty secrets are ignored.
func New(secrets ...string) *Redactor {
	var forms []string
	for _, secret := range secrets {
		if secret != "" {
			forms = append(forms, formsOf(secret)...)
		}
	}
	// The longest first: the replacer tries its pairs in order, and a form
	// that is part of another would leave the rest of the other.
	slices.SortFunc(forms, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	pairs := make([]string, 0, 2*len(forms))
	for _, form := range slices.Compact(forms) {
		pairs = append(pairs, form, Mask)
	}
	if len(pairs) == 0 {
		return &Redactor{}
	}
	return &Redactor{replacer: strings.NewReplacer(pairs...)}
}

// String returns s with every secret and every URL's userinfo masked.
func (r *Redactor) String(s string) string {
	if r != nil && r.replacer != nil {
		s = r.replacer.Replace(s)
	}
	return maskUserinfo(s)
}

// Error returns err with its text masked; errors.Is and errors.As see through
// to the original. An error without a secret, and nil, are returned as they are.
// The wrapper doesn't unwrap, so that nothing prints the original on its way
// down the chain; a typed error taken out with errors.As does hold the original.
func (r *Redactor) Error(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if clean := r.String(text); clean != text {
		return &maskedError{text: clean, original: err}
	}
	return err
}

// maskedError is an error with a masked text.
type maskedError struct {
	text     string
	original error
}

func (e *maskedError) Error() string        { return e.text }
func (e *maskedError) Is(target error) bool { return errors.Is(e.original, target) }
func (e *maskedError) As(target any) bool   { return errors.As(e.original, target) }

// maskUserinfo masks what stands between "://" and the last "@" of a URL's
// authority.
func maskUserinfo(s string) string {
	const mark = "://"
	if !strings.Contains(s, mark) || !strings.Contains(s, "@") {
		return s
	}
	var b strings.Builder
	for {
		i := strings.Index(s, mark)
		if i < 0 {
			b.WriteString(s)
			return b.String()
		}
		b.WriteString(s[:i+len(mark)])
		s = s[i+len(mark):]
		end := strings.IndexAny(s, "/?# \t\r\n\"'<>`")
		if end < 0 {
			end = len(s)
		}
		if at := strings.LastIndexByte(s[:end], '@'); at >= 0 {
			b.WriteString(Mask)
			s = s[at:]
		}
	}
}
