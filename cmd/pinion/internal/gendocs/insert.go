package main

import (
	"fmt"
	"os"
	"strings"
)

// insert replaces the text between the comments <!-- NAME:begin --> and <!-- NAME:end --> of a
// Markdown file.
func insert(path, name, text string) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	begin, end := "<!-- "+name+":begin -->\n", "<!-- "+name+":end -->\n"
	head, rest, hasBegin := strings.Cut(string(old), begin)
	_, tail, hasEnd := strings.Cut(rest, end)
	if !hasBegin || !hasEnd {
		return fmt.Errorf("%s: the lines %q and %q are missing", path, strings.TrimSpace(begin),
			strings.TrimSpace(end))
	}
	text = head + begin + text + end + tail
	return os.WriteFile(path, []byte(text), 0o644) //nolint:gosec // a document is for all to read
}
