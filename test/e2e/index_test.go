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
	firstCell, file := regexp.MustCompile(`(?m)^\| .*? \|`), regexp.MustCompile(`\w+_test\.go`)
	for _, cell := range firstCell.FindAllString(string(readme), -1) {
		listed = append(listed, file.FindAllString(cell, -1)...)
	}
	slices.Sort(listed)
	if !slices.Equal(files, listed) {
		t.Errorf("README.md lists\n%q\nand the folder has\n%q", listed, files)
	}
}
