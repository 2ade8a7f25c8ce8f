package errtext_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"git.moleculesai.app/molecule-ai/pinion/internal/errtext"
)

func TestPlain(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"plain", "plain"},
		{"a <b> c, 1 < 2 > 0", "a <b> c, 1 < 2 > 0"},
		// HAProxy, nginx and Cloudflare.
		{"Error response from daemon: <html><body><h1>403 Forbidden</h1>\nRequest forbidden by " +
			"administrative rules.\n</body></html>\n",
			"Error response from daemon: 403 Forbidden Request forbidden by administrative rules."},
		{"unknown: <html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n" +
			"<body>\r\n<center><h1>413 Request Entity Too Large</h1></center>\r\n<hr><center>" +
			"nginx</center>\r\n</body>\r\n</html>\r\n", "unknown: 413 Request Entity Too Large"},
		{"x: <!DOCTYPE html>\n<!--[if lt IE 7]> <html class=\"no-js\"> <![endif]-->\n<head>" +
			"<style>b { color: red }</style></head><body>Sorry &amp; goodbye<script>a<b</script>",
			"x: Sorry & goodbye"},
		{"before <html><title> </title>words</html> after", "before words after"},
		{"before <html><title>It</title>is</html>; it was 1", "before It; it was 1"},
		{"<HTML", ""},
		{`at: "<html><body class=\"a\"><h1>403 Forbidden</h1>\nNo.\n</body></html>\n"`,
			`at: "403 Forbidden No."`},
	} {
		cause := fmt.Errorf("%s%w", c.in, errEmpty)
		got := errtext.Plain(cause)
		if got.Error() != c.want {
			t.Errorf("%q gives %q, want %q", c.in, got, c.want)
		}
		if !errors.Is(got, errEmpty) {
			t.Errorf("%q lost its cause", c.in)
		}
	}
	if errtext.Plain(nil) != nil {
		t.Error("nil is an error")
	}
}

// errEmpty is a cause without a text.
var errEmpty = errors.New("")

func TestShort(t *testing.T) {
	fits := errors.New(strings.Repeat("x", errtext.MaxBytes))
	if got := errtext.Short(fits); errtext.IsLong(fits) || got.Error() != fits.Error() {
		t.Error("a text that fits is cut")
	}
	long := fmt.Errorf("begin %s end: %w", strings.Repeat("ä", 1<<20), io.EOF)
	got := errtext.Short(long)
	text := got.Error()
	if !errtext.IsLong(long) || len(text) > errtext.MaxBytes || len(text) < errtext.MaxBytes*9/10 ||
		!strings.HasPrefix(text, "begin ä") || !strings.HasSuffix(text, "ä end: EOF") ||
		!strings.Contains(text, "2097167 bytes in all") || !utf8.ValidString(text) ||
		!errors.Is(got, io.EOF) {
		t.Errorf("%d bytes: %.80q", len(text), text)
	}
	if errtext.Short(nil) != nil || errtext.IsLong(nil) {
		t.Error("nil is an error")
	}
	if got := errtext.Short(errors.New("x <html>y</html>")); got.Error() != "x y" {
		t.Errorf("a page gives %q", got)
	}
}
