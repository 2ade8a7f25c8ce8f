package reread

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestValue: a changed file is read again, and one that is wrong keeps what was there.
func TestValue(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	reads, reported := 0, 0
	load := func() (string, error) {
		reads++
		text, err := os.ReadFile(path)
		if err == nil && len(text) == 0 {
			err = errors.New("empty")
		}
		return string(text), err
	}
	if _, err := New(load, nil, path); err == nil {
		t.Error("a file that is not there is no error")
	}
	write("first")
	v, err := New(load, func(error) { reported++ }, path)
	if err != nil {
		t.Fatal(err)
	}
	want := func(text string, n, m int) {
		t.Helper()
		v.looked = time.Time{}
		for range 2 {
			if got := v.Get(); got != text || reads != n || reported != m {
				t.Errorf("%q after %d reads, of which %d failed; want %q, %d, %d", got, reads,
					reported, text, n, m)
			}
		}
	}
	want("first", 2, 0)
	write("the second")
	want("the second", 3, 0)
	write("")
	want("the second", 4, 1)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	want("the second", 5, 2)
	write("third")
	want("third", 6, 2)
}
