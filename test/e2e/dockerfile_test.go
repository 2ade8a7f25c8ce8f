package e2e_test

import (
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// TestDockerfilesOfAllKinds: a name in lower case and links are followed, of a commit and of its
// working tree alike. What is no file is the template's fault.
func TestDockerfilesOfAllKinds(t *testing.T) {
	partstest.OnSomeDays(t)
	// A link of the working tree is one of the commit, so both are made of the same files.
	at := func(path string, lines ...string) []parts.File {
		files := busybox(t, lines...)
		files[0].Path = path
		return files
	}
	for name, c := range map[string]struct {
		files  []parts.File
		config string // keys of the template
		prints string // "" for a refusal
	}{
		"lower case": {at("dockerfile", "CMD echo lower"), "", "lower"},
		"lower case, by name": {at("dockerfile", "CMD echo named"), "dockerfile: Dockerfile",
			"named"},
		"both": {append(at("dockerfile", "CMD echo lower"), at("Dockerfile",
			"CMD echo both")[0]), "", "both"},
		"a link": {append(at("docker/real", "CMD echo linked"),
			parts.Link("Dockerfile", "docker/real")), "", "linked"},
		"an absolute link": {append(at("docker/real", "CMD echo absolute"),
			parts.Link("Dockerfile", "/docker/real")), "", "absolute"},
		"a link out of the subdir": {append(inFolder("sub", at("none", "CMD echo up")[1:]),
			at("docker/real", "CMD echo up")[0],
			parts.Link("sub/Dockerfile", "../docker/real")), "subdir: sub", "up"},
		"outside of the subdir": {append(inFolder("sub", at("none", "CMD echo root")[1:]),
			at("docker/real", "CMD echo root")[0]),
			"subdir: sub\n  root_dockerfile: docker/real", "root"},
		"outside of the subdir, by the wrong key": {append(inFolder("sub", at("none", "")[1:]),
			at("docker/real", "")[0]), "subdir: sub\n  dockerfile: docker/real", ""},
		"a folder":      {[]parts.File{parts.Text("Dockerfile/x", "y")}, "", ""},
		"a broken link": {[]parts.File{parts.Link("Dockerfile", "nowhere")}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			onCells(t, builders(), func(t *testing.T, on cell) {
				s := newScene(t, on)
				s.template(t, runtime, parts.RepoOptions{}).push(t, c.files...)
				if c.config != "" {
					s.user = s.configured(t, c.config)
				}
				for of, opts := range map[string][]pinion.EnsureOption{"commit": nil,
					"tree": {pinion.AtPath(workingTree(t, c.files...))}} {
					if c.prints == "" {
						_, err := s.try(t, opts...)
						wantError(t, err, pinion.ErrRefused)
						continue
					}
					img := s.ensure(t, pinion.OutcomeBuilt, opts...)
					if out := s.runContainer(t, img.ID); strings.TrimSpace(out) != c.prints {
						t.Errorf("the image of the %s prints %q", of, out)
					}
				}
			})
		})
	}
}

// configured returns the user with keys of the template in the config file.
func (s *scene) configured(t *testing.T, keys string) user {
	t.Helper()
	return s.with("PINION_CONFIG", configFile(t, "templates:\n- name: "+runtime+"\n  "+keys+"\n"))
}

// TestGitDirOnRequest: a commit's context has the repository's .git if the catalogue says so, and a
// working tree's never.
func TestGitDirOnRequest(t *testing.T) {
	files := busybox(t, "COPY . /context",
		"CMD test -e /context/.git/HEAD && echo kept || echo none")
	onCells(t, builders(), func(t *testing.T, on cell) {
		s := newScene(t, on)
		s.template(t, runtime, parts.RepoOptions{}).push(t, files...)
		prints := func(u user, want string, opts ...pinion.EnsureOption) {
			t.Helper()
			img := u.ensure(t, pinion.OutcomeBuilt, opts...)
			if out := s.runContainer(t, img.ID); strings.TrimSpace(out) != want {
				t.Errorf("the image prints %q, want %q", out, want)
			}
		}
		keeping := s.configured(t, "keep_git_dir: true")
		prints(s.user, "none")
		prints(keeping, "kept")
		prints(keeping, "none", pinion.AtPath(workingTree(t, files...)))
	})
}

// inFolder moves files below a folder.
func inFolder(folder string, files []parts.File) (moved []parts.File) {
	for _, f := range files {
		f.Path = folder + "/" + f.Path
		moved = append(moved, f)
	}
	return moved
}
