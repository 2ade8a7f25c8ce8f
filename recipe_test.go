package pinion

import (
	"strings"
	"testing"

	"github.com/distribution/reference"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

var sampleRecipe = recipe{
	Schema: 1, Repository: "https://git.example/o/r", Revision: shaA, Subdir: "s",
	Dockerfile: "Dockerfile",
	Target:     "t", Platform: "linux/amd64", Image: "workspace-template-x",
}

const (
	goldenKey  = "e8620f8a3b25db7110227598788825f36601d8bb11cf58ea22b1ec43d837324f"
	goldenLine = "f175b773ebe47d7c47adbcce639f19723878cd638348084f159e0411df15d1f7"
)

// A key that changes by accident makes every user build everything again.
func TestKeysAreStable(t *testing.T) {
	for _, c := range []struct{ what, got, want string }{
		{"key", sampleRecipe.key(), goldenKey},
		{"line", sampleRecipe.line(), goldenLine},
		{"reference", sampleRecipe.reference(), "molecule-local/workspace-template-x:aaaaaaaaaaaa"},
		{"latest", sampleRecipe.latest(), "molecule-local/workspace-template-x:latest"},
		{"temporary", sampleRecipe.temporary("me"),
			"molecule-local/workspace-template-x:unverified-" + goldenKey[:12] + "-me"},
		{"source label", sampleRecipe.labels()[LabelSource], "https://git.example/o/r"},
		{"revision label", sampleRecipe.labels()[LabelRevision], shaA},
		{"recipe label", sampleRecipe.labels()[LabelRecipe], "sha256:" + goldenKey},
	} {
		if c.got != c.want {
			t.Errorf("%s is %s, want %s", c.what, c.got, c.want)
		}
	}
}

func TestFault32_EveryPartOfTheRecipeIsInTheKey(t *testing.T) {
	seen := map[string]string{sampleRecipe.key(): "the sample"}
	for name, change := range map[string]func(*recipe){
		"schema":     func(r *recipe) { r.Schema++ },
		"repository": func(r *recipe) { r.Repository += "x" },
		"revision":   func(r *recipe) { r.Revision = shaB },
		"subdir":     func(r *recipe) { r.Subdir = "" },
		"dockerfile": func(r *recipe) { r.Dockerfile = "other" },
		"target":     func(r *recipe) { r.Target = "" },
		"platform":   func(r *recipe) { r.Platform = "linux/arm64" },
		"image":      func(r *recipe) { r.Image += "x" },
		"moved":      func(r *recipe) { r.Subdir, r.Target = r.Target, r.Subdir },
		"labels":     func(r *recipe) { r.Labels = map[string]string{"a": "b"} },
		"label":      func(r *recipe) { r.Labels = map[string]string{"a": "b c=d"} },
	} {
		r := sampleRecipe
		change(&r)
		if other, ok := seen[r.key()]; ok {
			t.Errorf("%s has the key of %s", name, other)
		}
		seen[r.key()] = name
		if (r.line() == sampleRecipe.line()) != (name == "revision") {
			t.Errorf("%s: line %s", name, r.line())
		}
	}
}

// TestFault11_ProvenanceHasATagOfItsOwn: also beside labels and platforms.
func TestFault11_ProvenanceHasATagOfItsOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, mode := range []buildkit.Provenance{"", buildkit.ProvenanceMin, buildkit.ProvenanceMax} {
		for _, labels := range []map[string]string{nil, {"a": "b"}} {
			for _, platform := range []string{defaultPlatform, "linux/arm64"} {
				r := sampleRecipe.labelled(labels).attested(mode)
				r.Platform = platform
				for _, name := range []string{r.reference(), r.latest(), r.key(), r.line()} {
					if _, err := reference.ParseNormalizedNamed(namespace + "x:" +
						name[strings.Index(name, ":")+1:]); err != nil || seen[name] {
						t.Errorf("%q with %v on %s is called %s, %v", mode, labels, platform, name,
							err)
					}
					seen[name] = true
				}
				rec := cache.Record{Key: r.key(), Reference: r.reference(), Revision: r.Revision,
					Platform: platform, Labels: labels, Provenance: string(mode)}
				if got, ours := recorded(rec); !ours || got.latest() != r.latest() {
					t.Errorf("%s is not known again", rec.Reference)
				}
				rec.Provenance = "other"
				if _, ours := recorded(rec); ours {
					t.Errorf("%s is taken for one with other provenance", rec.Reference)
				}
			}
		}
	}
}

// TestFault11_LabelsHaveTagsOfTheirOwn: also beside platforms, and as latest.
func TestFault11_LabelsHaveTagsOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, platform := range []string{defaultPlatform, "linux/arm64", "linux/386"} {
		for _, labels := range []map[string]string{nil, {"a": "b"}, {"a": "b", "c": ""}, {"a": ""},
			{"a": "b\"c"}} {
			r := sampleRecipe.labelled(labels)
			r.Platform = platform
			for _, name := range []string{r.reference(), r.latest()} {
				if _, err := reference.ParseNormalizedNamed(name); err != nil || seen[name] {
					t.Errorf("%v on %s is called %s, %v", labels, platform, name, err)
				}
				seen[name] = true
			}
			rec := cache.Record{Key: r.key(), Reference: r.reference(), Revision: r.Revision,
				Platform: platform, Labels: labels, Repository: r.Repository}
			if got, ours := recorded(rec); !ours || got.latest() != r.latest() {
				t.Errorf("%s is not known again", rec.Reference)
			}
			rec.Labels = map[string]string{"other": "labels"}
			if _, ours := recorded(rec); ours {
				t.Errorf("%s is taken for one with other labels", rec.Reference)
			}
		}
	}
}

func TestFault11_NamesAreInjective(t *testing.T) {
	c, err := resolver.NewCatalogue(resolver.DefaultRepoPrefix)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, name := range c.Names() {
		tmpl, err := c.Template(name)
		if err != nil {
			t.Fatal(err)
		}
		ref := newRecipe(tmpl, defaultPlatform).at(revision(t, shaA)).reference()
		if other, ok := seen[ref]; ok || !strings.HasPrefix(ref, namespace) {
			t.Errorf("%s and %s are both %s", name, other, ref)
		}
		seen[ref] = name
	}
}
