package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestInsert(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	before := "one\n<!-- env:begin -->\nold\n<!-- env:end -->\ntwo\n"
	if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time changes nothing
		if err := insert(path, "env", "| new |\n"); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if want := strings.Replace(before, "old", "| new |", 1); err != nil ||
			string(text) != want {
			t.Errorf("got %q, %v, want %q", text, err, want)
		}
	}
	if err := insert(
		path, "other", "",
	); err == nil || !strings.Contains(err.Error(), "other:begin") {
		t.Errorf("without the comments: %v", err)
	}
}
