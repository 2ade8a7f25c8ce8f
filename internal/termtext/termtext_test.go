package termtext_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"git.moleculesai.app/molecule-ai/pinion/internal/termtext"
)

func TestFault58_Sanitize(t *testing.T) {
	for in, want := range map[string]string{
		"":                            "",
		"plain\ttext\nnext ümläut 日本": "plain\ttext\nnext ümläut 日本",
		"\x1b[31mred\x1b[0m":          `\x1b[31mred\x1b[0m`,
		"\x1b]0;title\x07":            `\x1b]0;title\x07`,
		"a\rb\r\nc":                   "a\\x0db\nc",
		"nul\x00del\x7f":              `nul\x00del\x7f`,
		"csi\u009b2J":                 `csi\x9b2J`,
		"a\u202eb\u2066c":             `a\u202eb\u2066c`,
		"zero\u200bwidth\ufeff":       `zero\u200bwidth\ufeff`,
		"line\u2028para\u2029":        `line\u2028para\u2029`,
		"tag\U000e0041":               `tag\U000e0041`,
		"bad\xff\xc3":                 `bad\xff\xc3`,
		"real \ufffd stays":           "real \ufffd stays",
		"👩\u200d💻":                    "👩\u200d💻",
		"back\b\b\bspace":             `back\x08\x08\x08space`,
	} {
		if got := termtext.Sanitize(in); got != want {
			t.Errorf("Sanitize(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzSanitize(f *testing.F) {
	f.Add("a\x1b\u202e\r\n\xff")
	f.Fuzz(func(t *testing.T, s string) {
		got := termtext.Sanitize(s)
		if !utf8.ValidString(got) || termtext.Sanitize(got) != got {
			t.Errorf("Sanitize(%q) = %q", s, got)
		}
		if strings.ContainsFunc(got, func(r rune) bool {
			return unicode.IsControl(r) && r != '\n' && r != '\t'
		}) {
			t.Errorf("a control character is left in %q", got)
		}
	})
}
