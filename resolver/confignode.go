package resolver

import (
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

// mergeKey merges the keys of another mapping into one.
const mergeKey = "<<"

// maxNodes bounds the nodes of an entry, counted once for each alias of them. An alias may stand in
// what it refers to.
const maxNodes = 10_000

// decodeEntry decodes a node strictly: an unknown key is an error.
func decodeEntry(node *yaml.Node, into any) error {
	budget := maxNodes
	if err := checkKeys(node, reflect.TypeOf(into).Elem(), &budget); err != nil {
		return err
	}
	return node.Decode(into)
}

// checkKeys returns an error for a key that a type does not have. Decoding a node, unlike a
// document, does not look for them. budget is the number of nodes that may be visited.
func checkKeys(node *yaml.Node, t reflect.Type, budget *int) error {
	if *budget--; *budget < 0 {
		return fmt.Errorf("%w: it is too long, or an alias refers to itself", ErrInvalidInput)
	}
	node = resolveAlias(node)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if node.Kind != yaml.MappingNode || t.Kind() != reflect.Struct && t.Kind() != reflect.Map {
		return nil // the decoder knows whether it fits
	}
	for key, value := range pairs(node) {
		if key.Value == mergeKey {
			if err := checkMerged(value, t, budget); err != nil {
				return err
			}
			continue
		}
		elem, err := elementOf(t, key.Value)
		if err != nil {
			return err
		}
		if err := checkKeys(value, elem, budget); err != nil {
			return below(key.Value, err)
		}
	}
	return nil
}

// checkMerged checks a mapping, or a list of them, whose keys are merged into another one.
func checkMerged(value *yaml.Node, t reflect.Type, budget *int) error {
	merged := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		merged = value.Content
	}
	for _, m := range merged {
		if err := checkKeys(m, t, budget); err != nil {
			return err
		}
	}
	return nil
}

// elementOf returns the type of what stands behind a key of a mapping.
func elementOf(t reflect.Type, key string) (reflect.Type, error) {
	if t.Kind() == reflect.Map {
		return t.Elem(), nil
	}
	known := fieldsOf(t)
	elem, ok := known[key]
	if !ok {
		return nil, inKey(unknownKey(key, sortedKeys(known)), key)
	}
	return elem, nil
}

// below returns an error about a key of a mapping that stands behind another key.
func below(key string, err error) error {
	var inner *keyError
	if !errors.As(err, &inner) {
		return err
	}
	return inKey(inner.err, append([]string{key}, inner.path...)...)
}

func unknownKey(key string, known []string) error {
	return fmt.Errorf("%w: there is no key %s: write one of %s", ErrInvalidInput, quote(key),
		strings.Join(known, ", "))
}

// knownFields has what fieldsOf has returned: a map[string]reflect.Type by reflect.Type.
var knownFields sync.Map

// fieldsOf returns the types of a struct's fields by their keys. The map is shared.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	if known, ok := knownFields.Load(t); ok {
		return known.(map[string]reflect.Type)
	}
	fields := map[string]reflect.Type{}
	for i := range t.NumField() {
		if key := t.Field(i).Tag.Get("yaml"); key != "" {
			fields[key] = t.Field(i).Type
		}
	}
	knownFields.Store(t, fields)
	return fields
}

func keysOf[T any]() []string { return sortedKeys(fieldsOf(reflect.TypeFor[T]())) }

func sortedKeys(fields map[string]reflect.Type) []string {
	var keys []string
	for key := range fields {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// pairs yields the keys of a mapping, and their values with aliases resolved.
func pairs(node *yaml.Node) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(key, value *yaml.Node) bool) {
		for i := 0; node != nil && i+1 < len(node.Content); i += 2 {
			if !yield(node.Content[i], resolveAlias(node.Content[i+1])) {
				return
			}
		}
	}
}

func resolveAlias(node *yaml.Node) *yaml.Node {
	for node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	return node
}

func isNull(node *yaml.Node) bool {
	return node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null"
}

// nameIn returns the name in a template's entry, "" if there is none that can be asked for.
func nameIn(node *yaml.Node) string {
	if node.Kind != yaml.MappingNode {
		return ""
	}
	for key, value := range pairs(node) {
		if key.Value == "name" && value.Kind == yaml.ScalarNode {
			if checkName(value.Value) != nil {
				return ""
			}
			return value.Value
		}
	}
	return ""
}

// place returns the line that an error about a node is about, and the error without the line.
func place(node *yaml.Node, err error) (int, error) {
	var wrong *yaml.TypeError
	if errors.As(err, &wrong) && len(wrong.Errors) > 0 {
		line, text := node.Line, wrong.Errors[0]
		if _, scanErr := fmt.Sscanf(text, "line %d:", &line); scanErr == nil {
			_, text, _ = strings.Cut(text, ": ")
		}
		return line, fmt.Errorf("%w: %s%s", ErrInvalidInput, text, typeHint(text))
	}
	if !errors.Is(err, ErrInvalidInput) {
		err = fmt.Errorf("%w: %w", ErrInvalidInput, err)
	}
	line := node.Line
	var in *keyError
	if errors.As(err, &in) {
		for _, name := range in.path {
			for key, value := range pairs(node) {
				if key.Value == name {
					line, node = key.Line, value
					break
				}
			}
		}
	}
	return line, err
}

// typeHint returns what to write where the decoder found a value of another type.
func typeHint(text string) string {
	//nolint:gosec // a type's name, no credential
	for suffix, hint := range map[string]string{
		"into time.Duration":   ": write a number with its unit, for example 20m",
		"into bool":            ": write true or false",
		"into string":          ": write a text",
		"into resolver.fields": ": write a value, or a mapping with file",
		"into map[string]*resolver.argConfig": ": write a mapping, for example " +
			"{VERSION: {file: .version}}",
		"into resolver.pullRequestsConfig": ": write a mapping, for example " +
			"{from: [same-repository]}",
		"into []string":                  ": write a list, for example [a, b]",
		"into int":                       ": write a number",
		"into resolver.templateConfig":   ": write a mapping, for example {name: NAME, repo: URL}",
		"into resolver.credentialConfig": ": write a mapping with host and token_env",
		"into resolver.serverConfig":     ": write a mapping with host and what is set for it",
	} {
		if strings.HasSuffix(text, suffix) {
			return hint
		}
	}
	return ""
}
