package retention

import (
	"cmp"
	"slices"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/docker"
	"git.moleculesai.app/molecule-ai/pinion/internal/recipe"
)

// Scope is a set of templates: those with one of the names, and those whose image has one of the
// names below [recipe.Namespace]. The zero value is all templates.
type Scope struct {
	Names, Images []string
}

func (s Scope) has(h *holding) bool {
	return s.contains(h.Name, cmp.Or(h.record.Reference, h.Reference))
}

func (s Scope) contains(name, reference string) bool {
	if len(s.Names) == 0 && len(s.Images) == 0 {
		return true
	}
	reference, _ = docker.CutLoopback(reference)
	repository, _, _ := strings.Cut(reference, ":")
	image, ours := strings.CutPrefix(repository, recipe.Namespace)
	return slices.Contains(s.Names, name) || ours && slices.Contains(s.Images, image)
}

// Records reports whether there is a record of a template, of any store or isolation.
func (s *Survey) Records(name string) bool {
	return slices.ContainsFunc(s.records, func(rec cache.Record) bool { return rec.Name == name })
}

// Lines returns a function that reports whether the saved build caches of a line belong to a scope.
// Those of another isolation do not. The caches of a line without any record are judged by the name
// that they were saved with.
func (s *Survey) Lines(scope Scope) func(line, name string) bool {
	recorded, inScope := map[string]bool{}, map[string]bool{}
	for _, rec := range s.records {
		recorded[rec.Line] = true
		if rec.Isolation == s.Isolation && scope.contains(rec.Name, rec.Reference) {
			inScope[rec.Line] = true
		}
	}
	return func(line, name string) bool {
		return inScope[line] || !recorded[line] && scope.contains(name, "")
	}
}
