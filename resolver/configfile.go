package resolver

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"go.yaml.in/yaml/v3"
)

// maxConfig caps a configuration file, in bytes.
const maxConfig = 8 << 20

// Entry is one entry of a configuration file.
type Entry struct {
	Line  int    // where it begins
	Label string // section and number, and the name of a template
	// Meaning is what the entry stands for; empty if Problem is not nil.
	Meaning string
	Problem *Problem
}

// Problem is what is wrong with one entry of a configuration file. It is an ErrInvalidInput.
type Problem struct {
	File  string
	Line  int
	Label string // as in [Entry]
	Err   error  // also says what to write
}

// Error has the file, the line and the entry.
func (p *Problem) Error() string {
	return fmt.Sprintf("%s, line %d: %s: %v", p.File, p.Line, p.Label, p.Err)
}

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.Err }

// AddFile adds the templates, credentials, servers and frontends of a YAML file. With an error it
// adds none of them. The error is an *Error: around fs.ErrNotExist if there is no such file, around
// ErrInvalidInput if it cannot be read, and also around the first *Problem if its content is
// refused.
func (c *Catalogue) AddFile(path string) error {
	next := c.clone()
	if err := next.AddEntries(path); err != nil {
		return err
	}
	if problems := next.Problems(); len(problems) > len(c.Problems()) {
		return &Error{Op: "read configuration", Err: problems[len(c.Problems())]}
	}
	*c = *next
	return nil
}

// AddEntries is AddFile for programs that go on with the entries that are right.
// [Catalogue.Problems] lists the others, whose names are refused by [Catalogue.Template], also
// those of built-in templates. The error is for a file that cannot be read or is no YAML.
func (c *Catalogue) AddEntries(path string) error {
	root, err := readConfig(path)
	if err != nil {
		return &Error{Op: "read configuration " + path, Err: err}
	}
	reader{c, path}.file(root)
	return nil
}

// Problems returns what is wrong with the entries that were not added, in the order of the file.
func (c *Catalogue) Problems() []*Problem {
	var problems []*Problem
	for _, e := range c.entries {
		if e.Problem != nil {
			problems = append(problems, e.Problem)
		}
	}
	return problems
}

// Entries returns all entries of configuration files, section by section.
func (c *Catalogue) Entries() []Entry { return c.entries }

// readConfig returns the mapping at the root of a file, nil for a file without content.
func readConfig(path string) (*yaml.Node, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidInput, err)
	}
	defer func() { _ = file.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(file, maxConfig+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidInput, err)
	}
	if len(text) > maxConfig {
		return nil, fmt.Errorf("%w: the file is larger than 8 MiB", ErrInvalidInput)
	}
	return parseConfig(text)
}

func parseConfig(text []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document yaml.Node
	err := decoder.Decode(&document)
	if errors.Is(err, io.EOF) { // nothing but comments
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidInput, err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: there is more than one document in the file",
			ErrInvalidInput)
	}
	root := document.Content[0]
	switch {
	case isNull(root):
		return nil, nil
	case root.Kind != yaml.MappingNode:
		return nil, fmt.Errorf("%w: line %d: write templates, credentials, servers or "+
			"frontends, each with a list", ErrInvalidInput, root.Line)
	}
	return root, nil
}

// reader adds the entries of one file.
type reader struct {
	catalogue *Catalogue
	path      string
}

func (r reader) file(root *yaml.Node) {
	seen := map[string]bool{}
	for key, value := range pairs(root) {
		sections := map[string]func(*yaml.Node) (string, error){
			"templates": r.template, "credentials": r.credential, "servers": r.server,
			"frontends": r.frontend,
		}
		add, ok := sections[key.Value]
		switch {
		case !ok:
			r.note(key, Entry{Label: "section " + quote(key.Value)}, "",
				unknownKey(key.Value, keysOf[config]()))
		case seen[key.Value]:
			r.note(key, Entry{Label: "section " + key.Value}, "",
				fmt.Errorf("%w: it is there twice: write one list", ErrInvalidInput))
		case !isNull(value) && value.Kind != yaml.SequenceNode:
			r.note(value, Entry{Label: "section " + key.Value}, "",
				fmt.Errorf("%w: write a list, each entry with a dash", ErrInvalidInput))
		default:
			r.section(key.Value, value.Content, add)
		}
		seen[key.Value] = true
	}
}

// section adds the entries of a list.
func (r reader) section(
	section string, list []*yaml.Node, add func(*yaml.Node) (string, error),
) {
	for i, at := range list {
		node := resolveAlias(at)
		label := fmt.Sprintf("%s, entry %d", section, i+1)
		name := ""
		if section == "templates" {
			name = nameIn(node)
		}
		if name != "" {
			label += fmt.Sprintf(" (%s)", quote(name))
		}
		meaning, err := add(node)
		r.note(at, Entry{Label: label, Meaning: meaning}, name, err)
	}
}

// note remembers an entry, and refuses the template of that name, "" for none, if err says that the
// entry is wrong.
func (r reader) note(at *yaml.Node, e Entry, name string, err error) {
	e.Line = at.Line
	if err != nil {
		line, err := place(resolveAlias(at), err)
		e.Meaning = ""
		e.Problem = &Problem{File: r.path, Line: line, Label: e.Label, Err: err}
	}
	r.catalogue.entries = append(r.catalogue.entries, e)
	if err != nil && name != "" {
		r.catalogue.refuse(name, e.Problem)
	}
}

func (r reader) template(node *yaml.Node) (string, error) {
	var entry templateConfig
	if err := decodeEntry(node, &entry); err != nil {
		return "", err
	}
	t, err := r.catalogue.addTemplate(entry)
	if err != nil {
		return "", err
	}
	return r.catalogue.templates[t.Name].describe(), nil
}

func (r reader) frontend(node *yaml.Node) (string, error) {
	var image string
	if err := decodeEntry(node, &image); err != nil {
		return "", err
	}
	return r.catalogue.addFrontend(image)
}
