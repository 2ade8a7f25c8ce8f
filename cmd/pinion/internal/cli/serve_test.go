package cli

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/exitcode"
)

func TestServeRefusesBeforeItOpensAnything(t *testing.T) {
	dir := t.TempDir()
	short := filepath.Join(dir, "short")
	if err := os.WriteFile(short, []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	token, long := strings.Repeat("t", 20), filepath.Join(dir, "long")
	if err := os.WriteFile(long, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args, env, word string
	}{
		"no scheme":      {"--listen 127.0.0.1:80", "", "--listen"},
		"no port":        {"--listen tcp://127.0.0.1", "PINION_SERVE_TOKEN=" + token, "--listen"},
		"a wrong port":   {"--listen tcp://:70000", "PINION_SERVE_TOKEN=" + token, "--listen"},
		"relative":       {"--listen unix://x", "", "--listen"},
		"a long path":    {"--listen unix:///" + strings.Repeat("x", 200), "", "too long"},
		"second is TCP":  {"--listen unix:///x --listen tcp://127.0.0.1:0", "", "token"},
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
		"keep, no prune":  {"--listen unix:///x --keep 3", "", "--keep needs --prune"},
		"high, no prune":  {"--listen unix:///x --disk-high 80%", "", "needs --prune"},
		"no percentage":   {"--listen unix:///x --prune --disk-high x", "", "--disk-high"},
		"low above high": {"--listen unix:///x --prune --disk-high 70%", "",
			"not above --disk-high 70%"},
		"prunes often": {"--listen unix:///x --prune --prune-interval 1s", "", "at least 1m"},
		"an argument":  {"one", "", "unknown command"},
		"short secret": {"--listen unix:///x --watch", "PINION_HOOK_SECRET=abc",
			"PINION_HOOK_SECRET"},
		"public, no URL": {"--listen unix:///x --public-url pinion.example", "", "--public-url"},
		"public, query":  {"--listen unix:///x --public-url https://p/?abc", "", "--public-url"},
		"notify, unsigned": {"--listen unix:///x --notify-url https://n.example/", "",
			"--notify-secret-file"},
		"notify in clear": {"--listen unix:///x --notify-url http://n.example/abc",
			"PINION_NOTIFY_SECRET=" + token, "use https"},
		"notify, short": {"--listen unix:///x --notify-url https://n.example/",
			"PINION_NOTIFY_SECRET=abc", "PINION_NOTIFY_SECRET"},
		"notify, no base64": {"--listen unix:///x --notify-url https://n.example/",
			"PINION_NOTIFY_SECRET=whsec_abc-abc-abc-abc-abc", "base64"},
		"a secret for nothing": {"--listen unix:///x --notify-secret-file " + long, "",
			"--notify-url"},
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

// TestServeOnSeveralAddresses also covers what is said at the start: to the service manager, and
// about an address that other machines can reach.
func TestServeOnSeveralAddresses(t *testing.T) {
	dir, err := os.MkdirTemp("", "pinion-") // a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: dir + "/notify",
		Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	env := map[string]string{"NOTIFY_SOCKET": dir + "/notify",
		"PINION_SERVE_TOKEN": strings.Repeat("t", 20)}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan run, 1)
	go func() {
		done <- callWith(ctx, twoGood(), env, "serve", "--listen", "unix://"+dir+"/p.sock",
			"--listen", "tcp://127.0.0.1:0", "--listen", "tcp://0.0.0.0:0")
	}()
	text := make([]byte, 100)
	for i, want := range []string{"READY=1", "STOPPING=1"} {
		n, err := manager.Read(text)
		if err != nil || string(text[:n]) != want {
			t.Errorf("the manager got %q, not %q: %v", text[:n], want, err)
		}
		if i == 0 {
			c, err := net.Dial("unix", dir+"/p.sock")
			if err != nil {
				t.Errorf("ready without a socket: %v", err)
			} else {
				_ = c.Close()
			}
			stop()
		}
	}
	r := <-done
	if r.code != 0 || strings.Count(r.stderr, "serving at ") != 3 ||
		strings.Count(r.stderr, "clear text") != 1 {
		t.Errorf("exit code %d\n%s", r.code, r.stderr)
	}
}

// TestServeSaysWhatIsMissing: a server whose image store does not answer starts, and says so.
func TestServeSaysWhatIsMissing(t *testing.T) {
	f := twoGood()
	f.err = pinion.ErrStore
	r := callWith(t.Context(), f, map[string]string{"XDG_RUNTIME_DIR": t.TempDir()}, "serve",
		"--idle-exit", "200ms")
	if r.code != 0 || !strings.Contains(r.stderr, "until this is mended") {
		t.Errorf("exit code %d\n%s", r.code, r.stderr)
	}
}

// TestServePrunes: by the bounds of its flags, and by those of the disk if that is too full.
func TestServePrunes(t *testing.T) {
	for args, want := range map[string][]pinion.PruneOptions{
		"":                        nil,
		"--prune":                 {{Keep: 2}}, // 99 % are in use, and nothing looks at that
		"--prune --disk-high 98%": {{Keep: 2, MaxDiskUse: 0.8}},
		"--prune --keep 3 --max-age 48h --max-size 2GB --disk-high 100%": {{Keep: 3,
			MaxAge: 48 * time.Hour, MaxSize: 2_000_000_000}},
	} {
		f := twoGood()
		if args == "--prune" {
			args = "--prune --disk-high="
		}
		r := callWith(t.Context(), f, map[string]string{"XDG_RUNTIME_DIR": t.TempDir()},
			append([]string{"serve", "--idle-exit", "200ms"}, strings.Fields(args)...)...)
		if r.code != 0 || !slices.Equal(f.limits, want) {
			t.Errorf("%q: exit code %d, prunes with %+v\n%s", args, r.code, f.limits, r.stderr)
		}
	}
}
