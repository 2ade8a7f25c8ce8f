package buildkit

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// attributes is the file in which git keeps what is special about the files of a folder.
const attributes = ".gitattributes"

// maxAttributesLine is the length of the lines that git reads, in bytes (git, attr.h).
const maxAttributesLine = 2048

// attributeRule is a line of a .gitattributes that may decide whether files are in Git LFS.
type attributeRule struct {
	dir   string // the file's folder, "." for the root
	match *regexp.Regexp
	// byName makes the pattern one for names, in the folder and below. Others are for paths.
	byName bool
	words  []string // the attributes
}

// attributeRules are those of all files on the way to a folder, the root's first.
type attributeRules []attributeRule

// attributeMacros are names for several attributes, which the root's file may define.
type attributeMacros map[string][]string

// parseAttributes returns the rules of a .gitattributes (gitattributes(5)) in a folder. Lines that
// git ignores are left out, and so are those about anything else than the filter.
func parseAttributes(text []byte, dir string, macros attributeMacros) attributeRules {
	var rules attributeRules
	for line := range strings.Lines(strings.TrimPrefix(string(text), "\ufeff")) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || len(line) > maxAttributesLine {
			continue
		}
		pattern, words := cutPattern(line)
		if name, isMacro := strings.CutPrefix(pattern, "[attr]"); isMacro {
			if dir == "." {
				macros[name] = words
			}
			continue
		}
		byName := !strings.Contains(pattern, "/")
		if match := wildcards(pattern); match != nil {
			rules = append(rules, attributeRule{dir, match, byName, words})
		}
	}
	return slices.DeleteFunc(rules, func(r attributeRule) bool {
		return !slices.ContainsFunc(r.words, func(word string) bool {
			name := attributeName(word)
			_, isMacro := macros[name]
			return isMacro || name == filterAttribute
		})
	})
}

// filterAttribute names the program that git puts a file through.
const filterAttribute = "filter"

// attributeName returns the name of an attribute that is set, unset, unspecified or has a value.
func attributeName(word string) string {
	name, _, _ := strings.Cut(strings.TrimLeft(word, "-!"), "=")
	return name
}

// lfs reports whether a file, by its path below the root, is in Git LFS.
func (rules attributeRules) lfs(file string, macros attributeMacros) bool {
	decided := map[string]string{}
	for _, r := range slices.Backward(rules) {
		if r.matches(file) {
			macros.decide(r.words, decided)
		}
	}
	return decided[filterAttribute] == filterAttribute+"=lfs"
}

func (r attributeRule) matches(file string) bool {
	switch {
	case r.byName:
		file = path.Base(file)
	case r.dir != ".":
		file = strings.TrimPrefix(file, r.dir+"/")
	}
	return r.match.MatchString(file)
}

// decide adds the attributes that are not decided, by their names. The last of a line decides
// first, and one that is set and a macro decides for all that it stands for.
func (m attributeMacros) decide(words []string, decided map[string]string) {
	for _, word := range slices.Backward(words) {
		name := attributeName(word)
		if _, known := decided[name]; known {
			continue
		}
		decided[name] = word
		if word == name {
			m.decide(m[name], decided)
		}
	}
}

// cutPattern returns a line's pattern, which may be quoted, and what follows.
func cutPattern(line string) (pattern string, words []string) {
	if quoted, err := strconv.QuotedPrefix(line); err == nil && line[0] == '"' {
		if pattern, err := strconv.Unquote(quoted); err == nil {
			return pattern, strings.Fields(line[len(quoted):])
		}
	}
	words = strings.Fields(line)
	return words[0], words[1:]
}

// wildcards returns a pattern of gitignore(5) as a regular expression, nil for one that matches no
// file.
func wildcards(pattern string) *regexp.Regexp {
	if pattern == "" || pattern[0] == '!' || strings.HasSuffix(pattern, "/") {
		return nil
	}
	pattern = strings.TrimPrefix(pattern, "/")
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	for i := 0; i < len(pattern); {
		rest := pattern[i:]
		first := i == 0 || pattern[i-1] == '/'
		switch {
		case first && strings.HasPrefix(rest, "**/"):
			b.WriteString(`(?:.*/)?`)
			i += len("**/")
		case first && rest == "**":
			b.WriteString(`.*`)
			i += len(rest)
		case rest[0] == '*':
			b.WriteString(`[^/]*`)
			i++
		case rest[0] == '?':
			b.WriteString(`[^/]`)
			i++
		case rest[0] == '[':
			n := class(&b, rest)
			if n == 0 {
				return nil
			}
			i += n
		case rest[0] == '\\' && len(rest) > 1:
			b.WriteString(regexp.QuoteMeta(rest[1:2]))
			i += 2
		default:
			b.WriteString(regexp.QuoteMeta(rest[:1]))
			i++
		}
	}
	re, err := regexp.Compile(b.String() + `\z`)
	if err != nil {
		return nil
	}
	return re
}

// class writes the brackets at the start of a pattern, and returns their length; 0 if they do not
// end.
func class(b *strings.Builder, pattern string) int {
	i := 1
	b.WriteByte('[')
	if i < len(pattern) && (pattern[i] == '!' || pattern[i] == '^') {
		b.WriteString("^/")
		i++
	}
	for begin := i; i < len(pattern); i++ {
		rest := pattern[i:]
		end := strings.Index(rest, ":]")
		switch {
		case rest[0] == ']' && i > begin:
			b.WriteByte(']')
			return i + 1
		case strings.HasPrefix(rest, "[:") && end > 0:
			b.WriteString(rest[:end+2])
			i += end + 1
		case strings.HasPrefix(rest, `\-`):
			b.WriteString(`\-`)
			i++
		case rest[0] == '\\' && len(rest) > 1:
			b.WriteString(regexp.QuoteMeta(rest[1:2]))
			i++
		default:
			b.WriteString(regexp.QuoteMeta(rest[:1]))
		}
	}
	return 0
}
