package arg_test

import (
	"errors"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/resolver/arg"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// The normalisation is the platform's own: white space out, `name@1.2` is 1.2, a leading v off.
func TestRuntimeVersion(t *testing.T) {
	for content, want := range map[string]string{
		"0.4.90\n":                   "0.4.90",
		"0.4.90":                     "0.4.90",
		" 0.4 .90\t\r\nmore\n":       "0.4.90",
		"v1.2.3":                     "1.2.3",
		"runtime@1.2":                "1.2",
		"runtime@v1.2-rc.1+x_y\n":    "1.2-rc.1+x_y",
		"@scope/runtime@1":           "",
		"":                           "",
		"\n0.4.90\n":                 "",
		"latest":                     "",
		"-1":                         "",
		"1.2;rm":                     "",
		"1.2\x00":                    "",
		"1.2\xff":                    "",
		strings.Repeat("1", 5000):    "",
		"<<<<<<< HEAD\n0.4.90\n":     "",
		"0.4.90 # the newest":        "",
		"1" + strings.Repeat("0", 1): "10",
	} {
		got, err := arg.RuntimeVersion().Read([]byte(content))
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%.40q gives %q, %v", content, got, err)
		}
	}
}

func TestRead(t *testing.T) {
	for _, c := range []struct {
		rule          arg.Rule
		content, want string
	}{
		{arg.Rule{}, "any thing@v1\n", "anything@v1"},
		{arg.Rule{Pattern: "a|b"}, "a", "a"},
		{arg.Rule{Pattern: "a|b"}, "ab", ""}, // the pattern is for the whole value
		{arg.Rule{Pattern: "[0-9a-f]{4}"}, "beef\n", "beef"},
		{arg.Rule{}, strings.Repeat("x", 2000), ""},
	} {
		got, err := c.rule.Read([]byte(c.content))
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%+v of %.20q gives %q, %v", c.rule, c.content, got, err)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, r := range []arg.Rule{
		arg.RuntimeVersion(),
		{Name: "VERSION", Value: "1.2 with blanks"}, {Name: "_x", Value: ""},
		{Name: "V", File: "a/b/.version", Pattern: "[0-9]+", Required: true},
	} {
		if got, err := r.Check(); err != nil || got != r {
			t.Errorf("%+v gives %+v, %v", r, got, err)
		}
	}
	for _, r := range []arg.Rule{
		{}, {Name: "1X", Value: "x"}, {Name: "a-b", Value: "x"}, {Name: "a=b", Value: "x"},
		{Name: strings.Repeat("x", 200), Value: "x"},
		{Name: "BUILDKIT_SYNTAX", Value: "evil/frontend"}, {Name: "buildkit_syntax", Value: "x"},
		{Name: "HTTP_PROXY", Value: "x"}, {Name: "no_proxy", Value: "x"},
		{Name: "TARGETPLATFORM", Value: "x"}, {Name: "SOURCE_DATE_EPOCH", Value: "0"},
		{Name: "V", Value: "a\nb"}, {Name: "V", Value: "\x1b[0m"}, {Name: "V", Value: "\xff"},
		{Name: "V", Value: strings.Repeat("x", 2000)},
		{Name: "V", File: "/etc/passwd"}, {Name: "V", File: "../x"}, {Name: "V", File: "a/"},
		{Name: "V", File: "x", Value: "y"}, {Name: "V", File: "x", Pattern: "("},
		{Name: "V", Value: "x", Pattern: "x"}, {Name: "V", Value: "x", Required: true},
	} {
		if got, err := r.Check(); !errors.Is(err, git.ErrInvalid) {
			t.Errorf("%+v gives %+v, %v", r, got, err)
		}
	}
}
