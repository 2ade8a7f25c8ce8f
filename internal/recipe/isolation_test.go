package recipe

import (
	"errors"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

func TestParseIsolation(t *testing.T) {
	for _, token := range []string{"a", "ci-42", "job.7_b", "0", strings.Repeat("a", 32)} {
		if got, err := ParseIsolation(token); got != token || err != nil {
			t.Errorf("%q gives %q, %v", token, got, err)
		}
	}
	for _, blank := range []string{"", " ", "\t\n"} {
		if got, err := ParseIsolation(blank); got != "" || err != nil {
			t.Errorf("%q gives %q, %v", blank, got, err)
		}
	}
	for _, token := range []string{"A", " a", "a\n", "a b", "a--b", "a..b", "-a", "a-", "ä", "a/b",
		"a:b", "a@b", "--", strings.Repeat("a", 33), "$(id)", "../x"} {
		if got, err := ParseIsolation(token); got != "" ||
			!errors.Is(err, resolver.ErrInvalidInput) {
			t.Errorf("%q gives %q, %v", token, got, err)
		}
	}
}

// TestNamesOfTokens: neither keys nor lines nor names of two tokens are the same, and a record is
// known again with its own token alone.
func TestNamesOfTokens(t *testing.T) {
	seen := map[string]string{}
	for _, platform := range []string{DefaultPlatform, "linux/arm64"} {
		for _, token := range []string{"", "a", "b", "linux-arm64"} {
			r := sampleRecipe
			r.Platform = platform
			r = r.WithIsolation(token)
			for _, part := range []string{r.Key(), r.Line(), r.Reference(), r.Latest(),
				r.Temporary("0123abcd"), r.OfTree("sha256:" + strings.Repeat("1", 64)).Reference(),
				r.WithLabels(map[string]string{"k": "v"}).Reference()} {
				if other, ok := seen[part]; ok {
					t.Errorf("%q and %q both have %s", token, other, part)
				}
				seen[part] = token
				name := strings.Contains(part, ":")
				if name && token != "" && !strings.HasSuffix(part, "--"+token) ||
					token == "" && strings.Contains(part, "--") {
					t.Errorf("%q has %s", token, part)
				}
			}
			rec := cache.Record{Key: r.Key(), Reference: r.Reference(),
				Revision: r.Revision.String(), Platform: platform, Repository: r.Repository,
				Form: r.Form(), Isolation: token}
			if got, ours := FromRecord(rec); !ours || got.Latest() != r.Latest() ||
				got.Temporary("x") == "" {
				t.Errorf("%s is not known again", rec.Reference)
			}
			rec.Isolation += "x"
			if _, ours := FromRecord(rec); ours {
				t.Errorf("%s is taken for one with the token %s", rec.Reference, rec.Isolation)
			}
		}
	}
}

func TestTheLongestTagIsValid(t *testing.T) {
	r := sampleRecipe
	r.Platform, r.form = "linux/mips64le/softfloat", "f0123456789ab"
	r = r.WithLabels(map[string]string{"k": "v"}).WithProvenance("max").
		WithIsolation(strings.Repeat("a", maxIsolation))
	if tag := r.Tag(); len(tag) > 128 {
		t.Errorf("%d characters in %s", len(tag), tag)
	}
}
