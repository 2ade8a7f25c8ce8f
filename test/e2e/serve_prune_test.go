package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// TestServePrunes: by number, by age and by what is in use of the disk. What a container uses and
// what Pinion did not make stay. More than one percent of any disk of an engine is in use.
func TestServePrunes(t *testing.T) {
	for name, args := range map[string]string{
		"by number": "--keep 1",
		"by age":    "--keep 9 --max-age 1ms",
		"by disk":   "--keep 9 --disk-high 1% --disk-low 1%",
	} {
		t.Run(name, func(t *testing.T) {
			s, push := pruneScene(t, parts.Docker29Classic)
			build := func() pinion.Image { push(); return s.ensure(t, pinion.OutcomeBuilt) }
			used := build()
			s.stopped(t, used.Reference)
			old, older := build(), build()
			newest := build()
			foreign := "molecule-local/workspace-template-" + runtime + ":mine"
			s.foreign(t, storetest.Spec{Tag: foreign, Content: t.Name(),
				Labels: s.labels(t, old.ID)})
			s.tidy(t, foreign)

			_, c := s.serve(t, append([]string{"--prune"}, strings.Fields(args)...)...)
			eventually(t, "a prune", func() bool {
				return strings.Contains(c.ask(t.Context(), http.MethodGet, "/metrics", "").text,
					"pinion_pruned_images_total 2\n")
			})
			for ref, id := range map[string]string{
				used.Reference: used.ID, old.Reference: "", old.ID: "", older.ID: "",
				newest.Reference: newest.ID,
			} {
				if got := s.id(t, ref); got != id {
					t.Errorf("%s is %q, not %q", ref, got, id)
				}
			}
			if s.id(t, foreign) == "" {
				t.Errorf("%s is gone", foreign)
			}
			text := c.ask(t.Context(), http.MethodGet, "/metrics", "").text
			for _, line := range []string{`pinion_prunes_total{result="ok"} 1`,
				`pinion_disk_free_bytes{of="images"} `} {
				if !strings.Contains(text, line) {
					t.Errorf("there is no %q in\n%s", line, text)
				}
			}
			if r := c.ensure(t.Context()); r.status != http.StatusOK ||
				!strings.Contains(r.text, newest.ID) {
				t.Errorf("%+v", r)
			}
		})
	}
}
