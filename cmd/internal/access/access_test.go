package access

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func digestOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.yaml")
	text := "tokens:\n- {name: ci, sha256: " + digestOf("one") + ", templates: [a], " +
		"requests_per_minute: 2}\n- {name: ops, sha256: " + strings.ToUpper(digestOf("two")) +
		", rights: [see, cancel, prune]}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	ci, ops := list.Find("one"), list.Find("two")
	if ci == nil || ci.Name != "ci" || !ci.May(Build) || ci.May(Cancel) || !ci.Sees("a") ||
		ci.Sees("b") || ci.SeesAll() || list.Keyed(ci.Key()) != ci {
		t.Errorf("ci is %+v", ci)
	}
	if ops == nil || ops.May(Build) || !ops.May(Prune) || !ops.Sees("b") || !ops.SeesAll() {
		t.Errorf("ops is %+v", ops)
	}
	if c := list.Find("three"); c != nil {
		t.Errorf("an unknown token is %+v", c)
	}
	for i, want := range []bool{true, true, false} {
		if ci.Take() != want {
			t.Errorf("request %d of ci: not %t", i, want)
		}
	}
	if !ops.Take() {
		t.Error("ops has a limit")
	}
}

func TestReadWhatIsWrong(t *testing.T) {
	for entries, want := range map[string]string{
		"":                              "there are no tokens",
		"{name: a b, SUM}":              "token 1 (\"a b\"): name",
		"{name: a, sha256: abc}":        "sha256",
		"{name: a, SUM, rights: [all]}": `"all" is none`,
		"{name: a, SUM, right: [see]}":  "field right not found",
		"{name: a, SUM, requests_per_minute: -1}":         "negative",
		"{name: a, SUM}, {name: b, SUM}":                  "token 2 (\"b\"): another",
		"{name: a, SUM, rights: [prune], templates: [x]}": "prune is about all",
	} {
		text := "tokens: [" + strings.ReplaceAll(entries, "SUM", "sha256: "+digestOf("x")) + "]"
		if _, err := parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
