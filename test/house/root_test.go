package house

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// Limits of what stands in one place. The root says what the program does and in which order; how
// it is done belongs below internal/.
const (
	rootFiles = 13
	fileLines = 350
)

func TestRootIsSmall(t *testing.T) {
	files := 0
	for _, file := range sources(t) {
		if filepath.Dir(file) == top(t) {
			files++
		}
	}
	if files > rootFiles {
		t.Errorf("the root has %d files without tests, more than %d", files, rootFiles)
	}
}

func TestFilesAreShort(t *testing.T) {
	for _, file := range sources(t) {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(content, []byte("\n")); n > fileLines {
			t.Errorf("%s has %d lines, more than %d", file, n, fileLines)
		}
	}
}
