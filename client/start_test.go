//go:build unix

package client_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/client"
	"git.moleculesai.app/molecule-ai/pinion/client/piniontest"
)

// fakeEnv makes the test's own program behave like `pinion serve`.
const fakeEnv = "PINION_TEST_SERVE"

func TestMain(m *testing.M) {
	if mode := os.Getenv(fakeEnv); mode != "" {
		os.Exit(fakeServe(mode))
	}
	os.Exit(m.Run())
}

// fakeServe serves at the socket in its arguments until it gets a request for /quit.
func fakeServe(mode string) int {
	if mode == "fail" {
		fmt.Fprintln(os.Stderr, "a warning\npinion: error: MOLECULE_X is wrong")
		return 64
	}
	path := strings.TrimPrefix(os.Args[5], "unix://")
	if want := []string{"serve", "--idle-exit", "10m0s", "--listen"}; len(os.Args) != 6 ||
		strings.Join(os.Args[1:5], " ") != strings.Join(want, " ") {
		fmt.Fprintf(os.Stderr, "arguments: %q\n", os.Args)
		return 64
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	started, err := os.OpenFile(path+".starts", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return 1
	}
	fmt.Fprintln(started, os.Getpid(), os.Getenv("PINION_SERVE_TOKEN"))
	fake := piniontest.NewServer()
	fake.Set("one", piniontest.Template{})
	mux := http.NewServeMux()
	quit := make(chan struct{})
	mux.Handle("/", fake.Handler())
	mux.HandleFunc("GET /quit", func(http.ResponseWriter, *http.Request) { close(quit) })
	srv := &http.Server{Handler: mux}
	go func() { _ = srv.Serve(l) }()
	select {
	case <-quit:
	case <-time.After(time.Minute):
	}
	_ = srv.Close()
	return 0
}

// scene is a folder for sockets, and the settings of a fake program.
func scene(t *testing.T, mode string) []client.StartOption {
	t.Helper()
	dir, err := os.MkdirTemp("", "pinion-") // a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	t.Setenv(fakeEnv, mode)
	t.Setenv("PINION_SERVE_TOKEN", "of-another-server")
	t.Setenv("XDG_RUNTIME_DIR", dir)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []client.StartOption{client.WithProgram(self)}
}

func quit(t *testing.T, c *client.Client) {
	t.Helper()
	path := strings.TrimPrefix(c.Address(), "unix://")
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /quit HTTP/1.0\r\n\r\n")
	for range 500 {
		if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the server did not end")
}

func starts(t *testing.T, c *client.Client) []string {
	t.Helper()
	text, err := os.ReadFile(strings.TrimPrefix(c.Address(), "unix://") + ".starts")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "of-another-server") {
		t.Error("the server got a token")
	}
	return strings.Fields(string(text))
}

func TestStartFindsTheServerOfOthersAndStartsItAgain(t *testing.T) {
	opts := scene(t, "serve")
	var first *client.Client
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 4 {
		all.Add(1)
		go func() {
			defer all.Done()
			c, err := client.Start(t.Context(), opts...)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if first != nil && first.Address() != c.Address() {
				t.Errorf("at %s and at %s", first.Address(), c.Address())
			}
			first = c
		}()
	}
	all.Wait()
	if first == nil {
		t.FailNow()
	}
	if _, err := first.Ensure(t.Context(), "one", nil); err != nil {
		t.Error(err)
	}
	if got := starts(t, first); len(got) != 1 {
		t.Errorf("servers: %v", got)
	}
	quit(t, first)
	if _, err := first.Ensure(t.Context(), "one", nil); err != nil {
		t.Errorf("after the server's end: %v", err)
	}
	if got := starts(t, first); len(got) != 2 {
		t.Errorf("servers: %v", got)
	}
	quit(t, first)
}

func TestStartWithOtherSettingsIsAnotherServer(t *testing.T) {
	opts := scene(t, "serve")
	address := func() string {
		c, err := client.Start(t.Context(), opts...)
		if err != nil {
			t.Fatal(err)
		}
		defer quit(t, c)
		return c.Address()
	}
	plain := address()
	t.Setenv("UNRELATED", "1")
	if got := address(); got != plain {
		t.Errorf("an unrelated variable leads to %s", got)
	}
	t.Setenv("MOLECULE_GITEA_TOKEN", "secret")
	if got := address(); got == plain || strings.Contains(got, "secret") {
		t.Errorf("another token leads to %s", got)
	}
}

func TestStartReportsWhyTheServerEnded(t *testing.T) {
	opts := scene(t, "fail")
	_, err := client.Start(t.Context(), opts...)
	if !errors.Is(err, client.ErrNoServer) ||
		!strings.HasSuffix(err.Error(), "exit status 64: a warning; "+
			"pinion: error: MOLECULE_X is wrong") {
		t.Errorf("got %v", err)
	}
}

func TestStartWithoutTheProgram(t *testing.T) {
	scene(t, "serve")
	_, err := client.Start(t.Context(), client.WithProgram("no-such-pinion"))
	if !errors.Is(err, client.ErrNoServer) || !strings.Contains(err.Error(), "no-such-pinion") {
		t.Errorf("got %v", err)
	}
}

func TestStartRefusesAFolderOfOthers(t *testing.T) {
	opts := scene(t, "serve")
	dir := filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "open")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	_, err := client.Start(t.Context(), append(opts, client.WithSocketFolder(dir))...)
	if err == nil || !strings.Contains(err.Error(), "writable by others") {
		t.Errorf("got %v", err)
	}
}
