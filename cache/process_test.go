package cache

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// With these variables the test program plays another process of Pinion on the
// same cache.
const (
	roleVar = "PINION_TEST_ROLE"
	pathVar = "PINION_TEST_CACHE"
)

func TestMain(m *testing.M) {
	role := os.Getenv(roleVar)
	if role == "" {
		os.Exit(m.Run())
	}
	if err := play(role, os.Getenv(pathVar)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func play(role, path string) error {
	d, err := Open(path)
	if err != nil {
		return err
	}
	switch role {
	case "hold":
		return hold(d)
	case "build":
		return build(d)
	}
	// The step of Put at which the process is killed.
	d.create = func(name string) (tempFile, error) {
		f, err := d.createTemp(name)
		return stoppingFile{f, role}, err
	}
	return d.Put(record("02"))
}

// stop reports that the process has reached its step, and waits to be killed. (The runtime would
// treat an empty select as a deadlock and end the process.)
func stop() {
	fmt.Println("here")
	time.Sleep(time.Hour)
}

type stoppingFile struct {
	tempFile
	step string
}

func (f stoppingFile) Write(p []byte) (int, error) {
	if f.step == "in the write" {
		_, _ = f.tempFile.Write(p[:len(p)/2])
		stop()
	}
	return f.tempFile.Write(p)
}

func (f stoppingFile) Sync() error {
	if f.step == "before the sync" {
		stop()
	}
	return f.tempFile.Sync()
}

func (f stoppingFile) Close() error {
	if f.step == "before the rename" {
		_ = f.tempFile.Close()
		stop()
	}
	return f.tempFile.Close()
}

func hold(d *Dir) error {
	if _, err := d.lockForTest(); err != nil {
		return err
	}
	stop()
	return nil
}

// build does what Ensure does: it looks, locks, looks again, builds and records.
func build(d *Dir) error {
	unlock, err := d.lockForTest()
	if err != nil {
		return err
	}
	defer unlock()
	recs, _, err := d.Records(testLine, testStore)
	if err != nil || len(recs) > 0 {
		return err
	}
	f, err := os.OpenFile(filepath.Join(d.Path(), "builds"),
		os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.WriteString("built\n"); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return d.Put(record("01"))
}

// start runs a role, and kill -9s it at the end if it still runs. The scanner
// reads what it prints.
func start(t *testing.T, d *Dir, role string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), roleVar+"="+role, pathVar+"="+d.Path())
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out)
}

// startAndKill runs a role up to its stop, and ends it as kill -9 does.
func startAndKill(t *testing.T, d *Dir, role string) {
	t.Helper()
	cmd, out := start(t, d, role)
	if !out.Scan() {
		t.Fatal("the process ended early")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // the error is "killed"
}

func TestFault43_KilledAtEveryStepOfPut(t *testing.T) {
	for _, step := range []string{"in the write", "before the sync", "before the rename"} {
		t.Run(step, func(t *testing.T) {
			d := openDir(t, t.TempDir())
			put(t, d, record("01"))
			startAndKill(t, d, step)
			if !strings.Contains(files(t, d), tempPrefix) {
				t.Fatal("the process left no temporary file: it was not where it should be")
			}
			if got, rejected := keys(t, d); got != "01" || rejected != 0 {
				t.Errorf("records %s, %d rejected", got, rejected)
			}
			put(t, d, record("02"))
			if got, _ := keys(t, d); got != "01 02" {
				t.Errorf("after the next run: %s", got)
			}
		})
	}
}

func TestFault46_ManyProcessesBuildOnce(t *testing.T) {
	d := openDir(t, t.TempDir())
	var all []*exec.Cmd
	for range 8 {
		cmd, _ := start(t, d, "build")
		all = append(all, cmd)
	}
	for _, cmd := range all {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	builds, err := os.ReadFile(filepath.Join(d.Path(), "builds"))
	if err != nil || string(builds) != "built\n" {
		t.Errorf("builds %q, %v, want one", builds, err)
	}
}

func TestFault47_LockOfAKilledProcess(t *testing.T) {
	d := openDir(t, t.TempDir())
	cmd, out := start(t, d, "hold")
	if !out.Scan() {
		t.Fatal("the process ended early")
	}
	file := filepath.Join(d.Path(), locksDir, "01"+lockSuffix)
	before, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	wantTimeout(t, d, 0)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	unlock, err := d.Lock(t.Context(), "sha256:01", 0)
	if err != nil {
		t.Fatalf("after the holder's death: %v", err)
	}
	unlock()
	if after, err := os.Stat(file); err != nil || !os.SameFile(before, after) {
		t.Errorf("the lock file was replaced: %v", err)
	}
}

// longWait is for locks that will be freed.
const longWait = time.Minute
