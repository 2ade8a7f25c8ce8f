package e2e_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// TestIndex checks that README.md lists each file of the suite once, and no others.
func TestIndex(t *testing.T) {
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	row := regexp.MustCompile("(?m)^\\| .*? \\|")
	for _, cell := range row.FindAllString(string(readme), -1) {
		for _, m := range regexp.MustCompile("`([^`]+_test\\.go)`").FindAllStringSubmatch(cell, -1) {
			listed = append(listed, m[1])
		}
	}
	slices.Sort(listed)
	if !slices.Equal(files, listed) {
		t.Errorf("README.md lists\n%q\nand the folder has\n%q", listed, files)
	}
}
