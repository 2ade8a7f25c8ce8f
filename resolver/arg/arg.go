// Package arg has the rules for build arguments. A rule takes its value from the operator's
// catalogue or from a file of the commit that is built, so the value is a function of the two.
//
// It guarantees that a value is one line of printable text without white space, and that no rule
// sets an argument with a meaning of its own to BuildKit. It reads nothing.
package arg

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// MaxFile is the number of bytes of a file in which the first line must end.
const MaxFile = 4096

// maxValue bounds a value, in bytes.
const maxValue = 1024

// Rule says where the value of one build argument comes from. It is part of the recipe, so its JSON
// form is part of the key.
type Rule struct {
	// Name of the argument, as in the Dockerfile's ARG.
	Name string `json:"name"`
	// Value is a constant. It is used if File is empty.
	Value string `json:"value,omitempty"`
	// File is a path below the repository's root. The value is its first line without white space.
	File string `json:"file,omitempty"`
	// Version removes the name of a package before "@" and a leading "v" from the value.
	Version bool `json:"version,omitempty"`
	// Pattern is a regular expression (RE2) that the whole value of the file must match; empty for
	// any value.
	Pattern string `json:"pattern,omitempty"`
	// Required refuses the build if the file has no value that fits. By default the argument is
	// left out.
	Required bool `json:"required,omitempty"`
}

// Value is the value of one argument.
type Value struct {
	Name, Value string
	File        string // where it was read; empty for a constant
}

// ReadsFiles reports whether a rule takes its value from a file.
func ReadsFiles(rules []Rule) bool {
	return slices.ContainsFunc(rules, func(r Rule) bool { return r.File != "" })
}

// RuntimeVersion is the rule of the platform's own templates: RUNTIME_VERSION is the first line of
// .runtime-version in the repository's root.
func RuntimeVersion() Rule {
	return Rule{Name: "RUNTIME_VERSION", File: ".runtime-version", Version: true,
		Pattern: `[0-9][0-9A-Za-z.+_-]*`}
}

// Check returns an error of kind [git.ErrInvalid] for a rule that must not be used, otherwise the
// rule with a clean path.
func (r Rule) Check() (Rule, error) {
	invalid := func(format string, args ...any) (Rule, error) {
		return Rule{}, fmt.Errorf("%w: build argument %.80q: %w", git.ErrInvalid, r.Name,
			fmt.Errorf(format, args...))
	}
	switch {
	case !isName(r.Name):
		return invalid("a name has letters, digits and underscores, and no digit at the start")
	case isReserved(r.Name):
		return invalid("BuildKit gives this name a meaning of its own")
	case r.File == "" && (r.Version || r.Pattern != "" || r.Required):
		return invalid("pattern and missing are for a value that is read from a file")
	case r.File != "" && r.Value != "":
		return invalid("give a value or a file")
	case r.File == "":
		if err := checkText(r.Value); err != nil {
			return invalid("%w", err)
		}
		return r, nil
	}
	file, err := git.ParseSubdir(r.File)
	if err != nil || file == "" || strings.HasSuffix(r.File, "/") {
		return invalid("file %.80q: give a plain relative path below the repository's root", r.File)
	}
	r.File = file
	if _, err := regexp.Compile(r.Pattern); err != nil {
		return invalid("%w", err)
	}
	return r, nil
}

// Read returns the value in the content of the rule's file, of which at most MaxFile bytes need be
// given. An error says what is wrong with the content.
func (r Rule) Read(content []byte) (string, error) {
	line, _, ended := strings.Cut(string(content), "\n")
	if !ended && len(content) >= MaxFile {
		return "", fmt.Errorf("its first line has more than %d bytes", MaxFile)
	}
	value := strings.Join(strings.Fields(line), "")
	if r.Version {
		if _, version, ok := strings.Cut(value, "@"); ok {
			value = version
		}
		value = strings.TrimPrefix(value, "v")
	}
	if value == "" {
		return "", errors.New("its first line is empty")
	}
	if err := checkText(value); err != nil {
		return "", err
	}
	if r.Pattern != "" && !regexp.MustCompile(`^(?:`+r.Pattern+`)$`).MatchString(value) {
		return "", fmt.Errorf("its first line is %.80q, which does not match %s", value, r.Pattern)
	}
	return value, nil
}

func checkText(value string) error {
	switch {
	case len(value) > maxValue:
		return fmt.Errorf("the value has more than %d bytes", maxValue)
	case !utf8.ValidString(value):
		return errors.New("the value is not UTF-8")
	case strings.ContainsFunc(value, func(c rune) bool { return !unicode.IsPrint(c) }):
		return errors.New("the value has characters that cannot be printed")
	}
	return nil
}

func isName(s string) bool {
	for i, c := range s {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != "" && len(s) <= 128
}

// isReserved reports whether BuildKit uses the name itself: to choose the frontend and its features
// (BUILDKIT_SYNTAX for one), for proxies, which are left out of the cache key, for the platforms,
// and for times (Dockerfile reference, "Predefined ARGs").
func isReserved(name string) bool {
	upper := strings.ToUpper(name)
	return strings.HasPrefix(upper, "BUILDKIT_") || strings.HasPrefix(upper, "BUILDX_") ||
		slices.Contains([]string{
			"HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY",
			"TARGETPLATFORM", "TARGETOS", "TARGETARCH", "TARGETVARIANT", "TARGETSTAGE",
			"BUILDPLATFORM", "BUILDOS", "BUILDARCH", "BUILDVARIANT", "SOURCE_DATE_EPOCH",
		}, upper)
}
