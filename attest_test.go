package pinion

import (
	"errors"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
)

func TestProvenanceAskedFor(t *testing.T) {
	for _, c := range []struct {
		entries []string
		want    buildkit.Provenance
	}{
		{nil, ""},
		{[]string{"provenance"}, buildkit.ProvenanceMax},
		{[]string{"type=provenance"}, buildkit.ProvenanceMax},
		{[]string{"mode=min,type=provenance"}, buildkit.ProvenanceMin},
		{[]string{`"type=provenance","mode=max"`, "type=provenance,mode=min"},
			buildkit.ProvenanceMin},
	} {
		var opts []EnsureOption
		for _, e := range c.entries {
			opts = append(opts, Attest(e))
		}
		if got, err := newRequest(opts).provenance(); err != nil || got != c.want {
			t.Errorf("%q: got %q, %v", c.entries, got, err)
		}
	}
	for _, entry := range []string{"", "\"", "sbom", "type=sbom,generator=x",
		"type=provenance,mode=", "type=provenance,mode=full",
		"type=provenance,mode=min,builder-id=x", "type=provenance,version=v1", "mode=max",
		"Provenance", "type=provenance,\n", "true"} {
		if got, err := newRequest([]EnsureOption{Attest("provenance"),
			Attest(entry)}).provenance(); !errors.Is(err, ErrInvalidInput) {
			t.Errorf("%q: got %q, %v", entry, got, err)
		}
	}
}
