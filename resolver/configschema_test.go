package resolver

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the golden file anew")

func TestConfigSchema(t *testing.T) {
	got, err := ConfigSchema()
	if err != nil || !json.Valid(got) {
		t.Fatalf("got %s, %v", got, err)
	}
	file := filepath.Join("testdata", "config.schema.json")
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("the schema differs from %s, which -update writes:\n%s", file, got)
	}
}

// TestConfigSchemaHasNoOtherKeys: each description is that of a key.
func TestConfigSchemaHasNoOtherKeys(t *testing.T) {
	text, err := ConfigSchema()
	if err != nil {
		t.Fatal(err)
	}
	var root any
	if err := json.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	if n := countKeys(root, "description"); n != len(keyNotes) {
		t.Errorf("%d keys have descriptions, of %d", n, len(keyNotes))
	}
}

func countKeys(node any, key string) int {
	n := 0
	switch node := node.(type) {
	case []any:
		for _, child := range node {
			n += countKeys(child, key)
		}
	case map[string]any:
		for name, child := range node {
			if _, isText := child.(string); isText && name == key {
				n++
			}
			n += countKeys(child, key)
		}
	}
	return n
}
