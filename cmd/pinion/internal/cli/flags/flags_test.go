package flags

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/terminal"
)

func TestProgressMode(t *testing.T) {
	for _, c := range []struct {
		flag, env string
		quiet     bool
		want      terminal.Mode
	}{
		{want: terminal.Auto},
		{env: "plain", want: terminal.Plain},
		{env: "plain", flag: "rawjson", want: terminal.RawJSON},
		{env: "plain", quiet: true, want: terminal.Quiet},
		{flag: "quiet", quiet: true, want: terminal.Quiet},
		{env: "nonsense", flag: "plain", want: terminal.Plain},
		{env: "nonsense", quiet: true, want: terminal.Quiet},
	} {
		f := Ensure{Format: FormatText, Quiet: c.quiet, progress: c.flag,
			progressSet: c.flag != ""}
		got, err := f.Display(Environment{progress: c.env}, 1)
		if err != nil || got.Mode != c.want || got.Silent != c.quiet || got.Names {
			t.Errorf("%+v: got %+v, %v", c, got, err)
		}
	}
}

func TestTLSDir(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"ca.pem", "tls.crt", "key.pem"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := (&tlsFlags{dir: dir, serverName: "x"}).files()
	if err != nil || got.CACert != filepath.Join(dir, "ca.pem") ||
		got.Cert != filepath.Join(dir, "tls.crt") ||
		got.Key != filepath.Join(dir, "key.pem") || got.ServerName != "x" {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := (&tlsFlags{dir: t.TempDir()}).files(); !errors.As(err, new(*Error)) {
		t.Errorf("an empty folder: %v", err)
	}
}

func TestAddressFromTheEnvironmentGetsTheTLSFlags(t *testing.T) {
	g := Global{}
	cmd := &cobra.Command{}
	g.Register(cmd)
	if err := cmd.ParseFlags([]string{"--tlsservername", "x"}); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Options(func(string) (string, bool) {
		return "", false
	}, Environment{builder: "tcp://x:1"}); err != nil {
		t.Error(err)
	}
}

// TestTimeLimits: a flag that is set replaces its variable, also by 0; another one does not.
func TestTimeLimits(t *testing.T) {
	lookup := func(name string) (string, bool) { return "nonsense", name == pinion.EnvTimeout }
	for _, c := range []struct {
		args []string
		ok   bool
	}{
		{nil, false}, {[]string{"--stall-after", "1m"}, false}, {[]string{"--timeout", "0"}, true},
		{[]string{"--timeout", "20m"}, true}, {[]string{"--timeout", "-1s"}, false},
		{[]string{"--timeout", "0", "--stall-after", "-1s"}, false},
	} {
		g := Global{}
		cmd := &cobra.Command{}
		g.Register(cmd)
		if err := cmd.ParseFlags(c.args); err != nil {
			t.Fatal(err)
		}
		opts, err := g.Options(lookup, Environment{})
		if err == nil {
			_, err = pinion.New(opts...)
		}
		if (err == nil) != c.ok {
			t.Errorf("%q: %v", c.args, err)
		}
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"1": 1, "20GB": 20_000_000_000, "1.5gib": 3 << 29, "512MiB": 512 << 20, "2k": 2000,
	} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("%s: got %d, %v, want %d", text, got, err, want)
		}
	}
	if _, err := ParseSize("much"); err == nil {
		t.Error("no error")
	}
}

func TestSecret(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(" in-the-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		file, value, want, fault string
	}{
		{"", "", "", ""},
		{"", " in-the-variable ", "in-the-variable", ""},
		{file, "in-the-variable", "in-the-file", ""},
		{"", "short", "", "VARIABLE: "},
		{os.DevNull, "in-the-variable", "", "--file: "},
		{file + "-none", "", "", "--file: "},
	} {
		got, err := Secret("--file", c.file, "VARIABLE", c.value, 8)
		if got != c.want || (err != nil) != (c.fault != "") ||
			err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%+v: got %q, %v", c, got, err)
		}
	}
}
