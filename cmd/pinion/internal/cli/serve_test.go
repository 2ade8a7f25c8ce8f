package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/exitcode"
)

func TestServeRefusesBeforeItOpensAnything(t *testing.T) {
	dir := t.TempDir()
	short := filepath.Join(dir, "short")
	if err := os.WriteFile(short, []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	token := strings.Repeat("t", 20)
	for name, c := range map[string]struct {
		args, env, word string
	}{
		"no runtime dir": {"", "", "--listen"},
		"tcp, no token":  {"--listen tcp://127.0.0.1:0", "", "token"},
		"short token":    {"--listen tcp://127.0.0.1:0 --token-file " + short, "", "--token-file"},
		"missing token": {"--listen tcp://127.0.0.1:0 --token-file " + dir + "/none", "",
			"--token-file"},
		"short variable": {"--listen tcp://127.0.0.1:0", "PINION_SERVE_TOKEN=abc",
			"PINION_SERVE_TOKEN"},
		"warm, no watch": {"--listen tcp://127.0.0.1:0 --warm one", "PINION_SERVE_TOKEN=" + token,
			"--watch"},
		"hook, no watch": {"--listen unix:///x --hook-secret-file " + short, "", "fewer than"},
		"often": {"--listen unix:///x --watch --watch-interval 1ms", "",
			"--watch-interval"},
		"negative idle":   {"--listen unix:///x --idle-exit -1s", "", "--idle-exit"},
		"idle watch":      {"--listen unix:///x --idle-exit 1m --watch", "", "--watch"},
		"negative linger": {"--listen unix:///x --linger -1s", "", "--linger"},
		"negative drain":  {"--listen unix:///x --drain-timeout -1s", "", "--drain-timeout"},
		"an argument":     {"one", "", "unknown command"},
		"short secret": {"--listen unix:///x --watch", "PINION_HOOK_SECRET=abc",
			"PINION_HOOK_SECRET"},
		"empty tokenfile": {"--listen unix:///x --token-file /dev/null", "", "--token-file"},
	} {
		t.Run(name, func(t *testing.T) {
			variable, value, _ := strings.Cut(c.env, "=")
			r := callWith(t.Context(), nil, map[string]string{variable: value},
				append([]string{"serve"}, strings.Fields(c.args)...)...)
			if r.code != exitcode.Usage || !strings.Contains(r.stderr, c.word) ||
				strings.Contains(r.stderr, "abc") {
				t.Errorf("exit code %d\n%s", r.code, r.stderr)
			}
		})
	}
}

func TestServeEndsWithZero(t *testing.T) {
	dir, err := os.MkdirTemp("", "pinion-") // a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	for _, args := range [][]string{{"serve"}, {"serve", "--watch", "--warm", "one"}} {
		r := callWith(ctx, twoGood(), map[string]string{"XDG_RUNTIME_DIR": dir}, args...)
		if r.code != 0 || r.stdout != "" ||
			!strings.Contains(r.stderr, filepath.Join(dir, "pinion", "pinion.sock")) {
			t.Errorf("%v: exit code %d, stdout %q\n%s", args, r.code, r.stdout, r.stderr)
		}
	}
	if r := callWith(t.Context(), twoGood(), map[string]string{"XDG_RUNTIME_DIR": dir}, "serve",
		"--idle-exit", "50ms"); r.code != 0 || !strings.Contains(r.stderr, "for 50ms: ending") {
		t.Errorf("idle: exit code %d\n%s", r.code, r.stderr)
	}
	if r := callWith(ctx, twoGood(), map[string]string{"XDG_RUNTIME_DIR": dir}, "serve", "--watch",
		"--warm", "no-such"); r.code != exitcode.Usage {
		t.Errorf("exit code %d\n%s", r.code, r.stderr)
	}
}
