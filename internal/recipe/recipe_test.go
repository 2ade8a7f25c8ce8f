package recipe

import (
	"strings"
	"testing"

	"github.com/distribution/reference"

	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
	"git.moleculesai.app/molecule-ai/pinion/resolver/arg"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

const (
	shaA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	shaB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

func mustRevision(s string) git.Revision {
	rev, err := git.ParseRevision(s)
	if err != nil {
		panic(err)
	}
	return rev
}

var sampleRecipe = Recipe{
	Schema: 1, Repository: "https://git.example/o/r", Revision: mustRevision(shaA), Subdir: "s",
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
		{"key", sampleRecipe.Key(), goldenKey},
		{"line", sampleRecipe.Line(), goldenLine},
		{"reference", sampleRecipe.Reference(), "molecule-local/workspace-template-x:aaaaaaaaaaaa"},
		{"latest", sampleRecipe.Latest(), "molecule-local/workspace-template-x:latest"},
		{"temporary", sampleRecipe.Temporary("me"),
			"molecule-local/workspace-template-x:unverified-" + goldenKey[:12] + "-me"},
		{"source label", sampleRecipe.Labels()[LabelSource], "https://git.example/o/r"},
		{"revision label", sampleRecipe.Labels()[LabelRevision], shaA},
		{"recipe label", sampleRecipe.Labels()[LabelRecipe], "sha256:" + goldenKey},
	} {
		if c.got != c.want {
			t.Errorf("%s is %s, want %s", c.what, c.got, c.want)
		}
	}
}

func TestFault32_EveryPartOfTheRecipeIsInTheKey(t *testing.T) {
	seen := map[string]string{sampleRecipe.Key(): "the sample"}
	for name, change := range map[string]func(*Recipe){
		"schema":     func(r *Recipe) { r.Schema++ },
		"repository": func(r *Recipe) { r.Repository += "x" },
		"revision":   func(r *Recipe) { r.Revision = mustRevision(shaB) },
		"subdir":     func(r *Recipe) { r.Subdir = "" },
		"dockerfile": func(r *Recipe) { r.Dockerfile = "other" },
		"target":     func(r *Recipe) { r.Target = "" },
		"platform":   func(r *Recipe) { r.Platform = "linux/arm64" },
		"image":      func(r *Recipe) { r.Image += "x" },
		"moved":      func(r *Recipe) { r.Subdir, r.Target = r.Target, r.Subdir },
		"labels":     func(r *Recipe) { r.Extra = map[string]string{"a": "b"} },
		"label":      func(r *Recipe) { r.Extra = map[string]string{"a": "b c=d"} },
	} {
		r := sampleRecipe
		change(&r)
		if other, ok := seen[r.Key()]; ok {
			t.Errorf("%s has the key of %s", name, other)
		}
		seen[r.Key()] = name
		if (r.Line() == sampleRecipe.Line()) != (name == "revision") {
			t.Errorf("%s: line %s", name, r.Line())
		}
	}
}

// TestFault11_ProvenanceHasATagOfItsOwn: also beside labels and platforms.
func TestFault11_ProvenanceHasATagOfItsOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, mode := range []string{"", "min", "max"} {
		for _, labels := range []map[string]string{nil, {"a": "b"}} {
			for _, platform := range []string{DefaultPlatform, "linux/arm64"} {
				r := sampleRecipe.WithLabels(labels).WithProvenance(mode)
				r.Platform = platform
				for _, name := range []string{r.Reference(), r.Latest(), r.Key(), r.Line()} {
					if _, err := reference.ParseNormalizedNamed(Namespace + "x:" +
						name[strings.Index(name, ":")+1:]); err != nil || seen[name] {
						t.Errorf("%q with %v on %s is called %s, %v",
							mode, labels, platform, name, err)
					}
					seen[name] = true
				}
				rec := cache.Record{Key: r.Key(), Reference: r.Reference(),
					Revision: r.Revision.String(),
					Platform: platform, Labels: labels, Provenance: mode}
				if got, ours := FromRecord(rec); !ours || got.Latest() != r.Latest() {
					t.Errorf("%s is not known again", rec.Reference)
				}
				rec.Provenance = "other"
				if _, ours := FromRecord(rec); ours {
					t.Errorf("%s is taken for one with other provenance", rec.Reference)
				}
			}
		}
	}
}

// TestFault11_LabelsHaveTagsOfTheirOwn: also beside platforms, and as latest.
func TestFault11_LabelsHaveTagsOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, platform := range []string{DefaultPlatform, "linux/arm64", "linux/386"} {
		for _, labels := range []map[string]string{nil, {"a": "b"}, {"a": "b", "c": ""}, {"a": ""},
			{"a": "b\"c"}} {
			r := sampleRecipe.WithLabels(labels)
			r.Platform = platform
			for _, name := range []string{r.Reference(), r.Latest()} {
				if _, err := reference.ParseNormalizedNamed(name); err != nil || seen[name] {
					t.Errorf("%v on %s is called %s, %v", labels, platform, name, err)
				}
				seen[name] = true
			}
			rec := cache.Record{Key: r.Key(), Reference: r.Reference(),
				Revision: r.Revision.String(),
				Platform: platform, Labels: labels, Repository: r.Repository}
			if got, ours := FromRecord(rec); !ours || got.Latest() != r.Latest() {
				t.Errorf("%s is not known again", rec.Reference)
			}
			rec.Labels = map[string]string{"other": "labels"}
			if _, ours := FromRecord(rec); ours {
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
		ref := New(tmpl, DefaultPlatform).At(mustRevision(shaA)).Reference()
		if other, ok := seen[ref]; ok || !strings.HasPrefix(ref, Namespace) {
			t.Errorf("%s and %s are both %s", name, other, ref)
		}
		seen[ref] = name
	}
}

func TestWorkingTreesHaveALineOfTheirOwn(t *testing.T) {
	one, two := sampleRecipe, sampleRecipe
	one.Revision, two.Revision = git.Revision{}, git.Revision{}
	one, two = one.OfTree("sha256:"+strings.Repeat("1", 64)),
		two.OfTree("sha256:"+strings.Repeat("2", 64))
	if one.Line() != two.Line() || one.Line() == sampleRecipe.Line() || one.Key() == two.Key() {
		t.Error("lines or keys are mixed up")
	}
	if l := one.Labels(); l[LabelTree] != one.Tree || l[LabelRecipe] != "sha256:"+one.Key() ||
		len(l) != 2 {
		t.Errorf("labels %v", l)
	}
}

// TestNamesOfForms: what differs in the recipe differs in the name.
func TestNamesOfForms(t *testing.T) {
	usual := resolver.Template{Name: "hermes", Dockerfile: resolver.DefaultDockerfile,
		Image: "workspace-template-hermes", Args: resolver.StandardArgs("hermes")}
	seen := map[string]string{}
	for name, change := range map[string]func(*resolver.Template){
		"usual":      func(*resolver.Template) {},
		"subdir":     func(t *resolver.Template) { t.Subdir = "sub" },
		"dockerfile": func(t *resolver.Template) { t.Dockerfile = "sub" },
		"target":     func(t *resolver.Template) { t.Target = "sub" },
		"git dir":    func(t *resolver.Template) { t.KeepGitDir = true },
		"LFS":        func(t *resolver.Template) { t.LFS = true },
		"any base":   func(t *resolver.Template) { t.AllowBasePlatform = true },
		"no args":    func(t *resolver.Template) { t.Args = nil },
		"constant":   func(t *resolver.Template) { t.Args = []arg.Rule{{Name: "A", Value: "sub"}} },
		"file":       func(t *resolver.Template) { t.Args = []arg.Rule{{Name: "A", File: "sub"}} },
	} {
		tmpl := usual
		change(&tmpl)
		r := New(tmpl, DefaultPlatform).At(mustRevision(shaA))
		ref := r.Reference()
		if other, ok := seen[ref]; ok {
			t.Errorf("%s and %s are both %s", name, other, ref)
		}
		seen[ref] = name
		plain := ref == "molecule-local/workspace-template-hermes:aaaaaaaaaaaa"
		if plain != (name == "usual") {
			t.Errorf("%s is %s", name, ref)
		}
		rec := cache.Record{Key: r.Key(), Reference: ref, Revision: shaA, Platform: r.Platform,
			Form: r.Form()}
		if got, ours := FromRecord(rec); !ours || got.Latest() != r.Latest() {
			t.Errorf("%s: %s is not known again", name, ref)
		}
		if name == "usual" {
			continue
		}
		rec.Form = ""
		if _, ours := FromRecord(rec); ours {
			t.Errorf("%s: %s is taken for one of the usual form", name, ref)
		}
	}
}
