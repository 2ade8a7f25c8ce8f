package redact

import (
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"
)

// basicUser is the user name that goes with a token in Basic authentication.
// BuildKit sends the same.
const basicUser = "x-access-token:"

// minCore is the shortest piece of base64 that is masked: a shorter one would
// hit ordinary words.
const minCore = 6

// formsOf returns the texts that a secret may appear as.
func formsOf(secret string) []string {
	forms := []string{secret, trimQuotes(strconv.Quote(secret)),
		trimQuotes(strconv.QuoteToASCII(secret))}
	for _, escaped := range []string{
		url.QueryEscape(secret),
		url.PathEscape(secret),
		url.UserPassword("", secret).String()[1:],
	} {
		forms = append(forms, escaped, lowerEscapes(escaped))
	}
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		forms = append(forms, base64Forms(enc, secret)...)
	}
	return forms
}

// base64Forms returns a secret's texts in one alphabet. The form without padding
// is a part of the one with padding, which comes first so that no padding stays.
func base64Forms(padded *base64.Encoding, secret string) []string {
	raw := padded.WithPadding(base64.NoPadding)
	forms := []string{
		padded.EncodeToString([]byte(basicUser + secret)),
		raw.EncodeToString([]byte(basicUser + secret)),
	}
	candidates := []string{padded.EncodeToString([]byte(secret)),
		raw.EncodeToString([]byte(secret))}
	for offset := range 3 {
		candidates = append(candidates, core64(raw, secret, offset))
	}
	for _, candidate := range candidates {
		if len(candidate) >= minCore {
			forms = append(forms, candidate)
		}
	}
	return forms
}

// trimQuotes removes the quotes at both ends.
func trimQuotes(s string) string { return s[1 : len(s)-1] }

// core64 returns the part of a base64 text that a secret fixes when offset
// bytes (modulo 3) stand before it and anything may follow.
func core64(raw *base64.Encoding, secret string, offset int) string {
	text := raw.EncodeToString([]byte(strings.Repeat("\x00", offset) + secret))
	// The bytes before fill the first 8*offset bits, 6 to a digit.
	text = text[(8*offset+5)/6:]
	if (offset+len(secret))%3 != 0 {
		text = text[:len(text)-1] // its low bits belong to what follows
	}
	return text
}

// lowerEscapes writes %2F as %2f.
func lowerEscapes(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:i+3], strings.ToLower(string(b[i+1:i+3])))
		}
	}
	return string(b)
}
