package redact_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/redact"
)

const canary = `s3cr3t/to+ken="ü"`

func TestStringMasksEveryForm(t *testing.T) {
	r := redact.New("", canary, "other-token-value")
	std, urlSafe := base64.StdEncoding, base64.URLEncoding
	for name, text := range map[string]string{
		"plain":          "token " + canary + " was refused",
		"quoted":         fmt.Sprintf("%q", canary),
		"quoted ASCII":   fmt.Sprintf("%+q", canary),
		"query escape":   "?t=" + url.QueryEscape(canary),
		"path escape":    "/" + url.PathEscape(canary),
		"lower escape":   strings.ToLower(url.QueryEscape(canary)),
		"base64":         std.EncodeToString([]byte(canary)),
		"raw base64":     base64.RawStdEncoding.EncodeToString([]byte(canary)),
		"url base64":     urlSafe.EncodeToString([]byte(canary)),
		"raw url base64": base64.RawURLEncoding.EncodeToString([]byte(canary)),
		"basic auth": "Authorization: Basic " +
			std.EncodeToString([]byte("x-access-token:"+canary)),
		"second secret":    "x other-token-value y",
		"twice":            canary + canary,
		"as a URL's user":  "https://" + url.UserPassword("x", canary).String() + "@h.example/a",
		"other basic auth": std.EncodeToString([]byte("oauth2:" + canary)),
	} {
		got := r.String(text)
		if strings.Contains(got, canary) || strings.Contains(got, "other-token-value") ||
			!strings.Contains(got, redact.Mask) {
			t.Errorf("%s: %q is left as %q", name, text, got)
		}
	}
}

func TestStringMasksBase64AtAnyOffset(t *testing.T) {
	const secret = "0123456789abcdef0123456789abcdef01234567"
	r := redact.New(secret)
	for before := range 7 {
		for after := range 4 {
			whole := strings.Repeat("b", before) + secret + strings.Repeat("a", after)
			for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding} {
				encoded := enc.EncodeToString([]byte(whole))
				got := r.String(encoded)
				// Only the edges may be left.
				if left := len(strings.Replace(got, redact.Mask, "",
					1)); left > len(encoded)-4*(len(secret)-2)/3+4 || got == encoded {
					t.Errorf("%d before, %d after: %q is left as %q", before, after, encoded, got)
				}
			}
		}
	}
}

func TestStringMasksUserinfo(t *testing.T) {
	for in, want := range map[string]string{
		"get https://user:pass@h.example/a: no":    "get https://***@h.example/a: no",
		"https://tok@h/a and http://a:b@c@d/e":     "https://***@h/a and http://***@d/e",
		"https://h.example/a@b":                    "https://h.example/a@b",
		"mail me@h.example, see https://h.example": "mail me@h.example, see https://h.example",
		"nothing":   "nothing",
		"://x@y://": "://***@y://",
	} {
		for _, r := range []*redact.Redactor{nil, redact.New(), redact.New("unused-secret")} {
			if got := r.String(in); got != want {
				t.Errorf("%q is left as %q, want %q", in, got, want)
			}
		}
	}
}

func TestErrorKeepsIsAndAs(t *testing.T) {
	r := redact.New(canary)
	plain := errors.New("harmless")
	if r.Error(nil) != nil || r.Error(plain).Error() != "harmless" ||
		!errors.Is(r.Error(plain), plain) {
		t.Error("an error without a secret has changed")
	}
	original := fmt.Errorf("asking with %s: %w", canary,
		&fs.PathError{Op: "open", Path: canary, Err: fs.ErrNotExist})
	err := r.Error(original)
	var typed *fs.PathError
	if !errors.Is(err, fs.ErrNotExist) || !errors.As(err, &typed) {
		t.Errorf("Is or As doesn't see through %v", err)
	}
	for at := err; at != nil; at = errors.Unwrap(at) {
		if strings.Contains(at.Error(), canary) {
			t.Errorf("the chain holds %q", at)
		}
	}
	if text := fmt.Sprintf("%v %+v %s %q", err, err, err, err); strings.Contains(text, canary) {
		t.Errorf("printing gives %q", text)
	}
}

func TestShortSecretsLeaveWordsAlone(t *testing.T) {
	if got := redact.New("ab").String(
		"YWI is base64 of a short one, zzz",
	); got != "YWI is base64 of a short one, zzz" {
		t.Errorf("got %q", got)
	}
}
