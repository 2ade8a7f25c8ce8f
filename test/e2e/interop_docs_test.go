package e2e_test

import (
	"path/filepath"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// recipes are the commands that stand under a heading of docs/buildx.md.
func recipes(t *testing.T, heading string) []string {
	t.Helper()
	_, text, ok := strings.Cut(read(t, filepath.Join(root(t), "docs", "buildx.md")),
		"\n## "+heading+"\n")
	text, _, _ = strings.Cut(text, "\n## ")
	var blocks []string
	for i, part := range strings.Split(text, "```") {
		if block, isSh := strings.CutPrefix(part, "sh\n"); isSh && i%2 == 1 {
			blocks = append(blocks, block)
		}
	}
	if !ok || len(blocks) == 0 {
		t.Fatalf("docs/buildx.md has no recipe under %q", heading)
	}
	return blocks
}

// TestProvenanceDocs: buildx reads out of the registry what docs/buildx.md says is there.
func TestProvenanceDocs(t *testing.T) {
	d := newDepot(t)
	s := newScene(t, containerdOwn)
	installBuildxPlugin(t, s.user)
	u := d.withLogin(t, s.user, depotPassword)
	sha := s.template(t, "claude-code", parts.RepoOptions{}).busybox(t, "RUN echo documented")
	for _, recipe := range recipes(t, "Provenance") {
		r := u.shell(t, strings.ReplaceAll(recipe, "registry.example/team",
			d.host+"/"+s.prefix+"team"))
		if r.code != 0 || !strings.Contains(r.stdout, sha) ||
			!strings.Contains(r.stdout, "buildDefinition") ||
			!strings.Contains(r.stdout, "echo documented") {
			t.Errorf("%s: exit code %d\n%s\n%s", recipe, r.code, r.stdout, r.stderr)
		}
	}
}

// TestInteropDocs runs what docs/buildx.md shows of bake, the plugin, flags and the registry, with
// this scene's addresses.
func TestInteropDocs(t *testing.T) {
	d := newDepot(t)
	s := newScene(t, classicOwn)
	installBuildxPlugin(t, s.user)
	installPlugin(t, filepath.Join(s.env["HOME"], ".docker"))
	u := d.withLogin(t, s.user, depotPassword)
	tmpl := s.template(t, "claude-code", parts.RepoOptions{})
	sha := tmpl.busybox(t, "RUN echo documented")
	s.template(t, "hermes", parts.RepoOptions{}).busybox(t, "RUN echo documented too")
	here := strings.NewReplacer(
		"registry.example/team", d.host+"/"+s.prefix+"team", "registry.example", d.host, "<sha>",
		sha,
		"https://git.moleculesai.app/molecule-ai/molecule-ai-workspace-template-claude-code",
		tmpl.url(),
		"make install PREFIX=$HOME/.local\n", "", // which TestInstall tries
	)
	ref := tmpl.reference(sha)
	for _, c := range []struct{ heading, want string }{
		{"Bake", ""}, {"`docker pinion`", ref + "\n"}, {"Flags that you know", "sha256:"},
		{"The team's registry", d.host + "/" + s.prefix +
			"team/workspace-template-claude-code:latest\n"},
	} {
		out := ""
		for _, recipe := range recipes(t, c.heading) {
			r := u.shell(t, here.Replace(recipe))
			if r.code != 0 {
				t.Fatalf("%s: exit code %d\n%s", recipe, r.code, r.stderr)
			}
			out += r.stdout
		}
		if !strings.Contains(out, c.want) {
			t.Errorf("%s: no %q in\n%s", c.heading, c.want, out)
		}
		if s.id(t, ref) == "" {
			t.Errorf("%s: %s is not there", c.heading, ref)
		}
	}
}
