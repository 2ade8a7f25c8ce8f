package buildx_test

import (
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/buildkit/buildx"
)

func TestBakeNamesAndLiterals(t *testing.T) {
	if got := buildx.BakeName("own.thing-2"); got != "own__thing-2" {
		t.Errorf("got %s", got)
	}
	for text, want := range map[string]string{
		"plain $a %b": "plain $a %b", "a${b}": "a$${b}", "%{if}": "%%{if}",
	} {
		if got := buildx.BakeLiteral(text); got != want {
			t.Errorf("%s: got %s", text, got)
		}
	}
}
