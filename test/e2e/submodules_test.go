package e2e_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// TestSubmodulesOnRequest: one is fetched if the catalogue allows its host, a private one with the
// credential of its host.
func TestSubmodulesOnRequest(t *testing.T) {
	onCells(t, []cell{containerdOwn, classicStandalone}, func(t *testing.T, on cell) {
		s := newScene(t, on)
		tmpl := s.template(t, runtime, parts.RepoOptions{Private: true})
		public := s.module(t, "public", false, "url = ../"+s.prefix+"public.git")
		tmpl.push(t, printing(t, public)...)
		host := strings.TrimPrefix(s.git.URL(), "http://")
		outsider := s.user
		s.user = s.with("MOLECULE_GITEA_TOKEN", s.token(t))

		_, err := s.configured(t, "submodules: [other.example]").try(t)
		wantError(t, err, pinion.ErrRefused, host, "is not in the list of repositories")
		if n := s.git.Count(public.repo.Name); n != 0 {
			t.Errorf("a submodule that is not allowed was asked for %d times", n)
		}
		allowing := s.configured(t, "submodules: ['"+host+"']")
		img := allowing.ensure(t, pinion.OutcomeBuilt)
		if out := s.runContainer(t, img.ID); out != "of public\n" {
			t.Errorf("the image prints %q", out)
		}

		inner := s.module(t, "inner", true, "url = ../"+s.prefix+"inner.git")
		private := s.module(t, "private", true, "url = ./../"+s.prefix+"private.git", inner)
		tmpl.push(t, printing(t, private)...)
		s.git.Reset()
		img = allowing.ensure(t, pinion.OutcomeBuilt)
		if out := s.runContainer(t, img.ID); out != "of private\nof inner\n" {
			t.Errorf("the image prints %q", out)
		}
		for _, r := range s.git.Requests() {
			if r.Authorization == "" {
				t.Errorf("%s %s was asked without a credential", r.Method, r.Path)
			}
		}
		s.reset()
		allowing.ensure(t, pinion.OutcomeHit)
		s.wantHitTraffic(t)

		open := s.template(t, "langgraph", parts.RepoOptions{})
		open.push(t, printing(t, private)...)
		_, err = outsider.with("PINION_CONFIG", configFile(t, "templates:\n- name: langgraph\n  "+
			"submodules: ['"+host+"']\n")).open(t).Ensure(t.Context(), "langgraph")
		wantError(t, err, pinion.ErrSubmodule, private.repo.Name, `fetch submodule: "private"`,
			"set MOLECULE_GITEA_TOKEN")
		if class := pinion.ClassOf(err); class != pinion.ClassNotFound { // as Gitea hides it
			t.Errorf("the class is %s", class)
		}
	})
}

// TestFault57_SubmoduleOfAnotherHost: it gets the credential of its own host, and no other.
func TestFault57_SubmoduleOfAnotherHost(t *testing.T) {
	onCells(t, []cell{containerdOwn, classicStandalone}, func(t *testing.T, on cell) {
		s := newScene(t, on)
		tmpl := s.template(t, runtime, parts.RepoOptions{Private: true})
		other := partstest.Proxy(t, s.gitea.URL())
		elsewhere := strings.TrimPrefix(other.URL(), "http://")
		far := s.module(t, "far", true,
			"url = "+s.repoPrefix(other.URL())+"far")
		tmpl.push(t, printing(t, far)...)
		own, theirs := s.token(t), s.token(t)
		s.user = s.with("MOLECULE_GITEA_TOKEN", own, "THEIRS", theirs)
		keys := "submodules: ['" + elsewhere + "']"

		_, err := s.configured(t, keys).try(t)
		wantError(t, err, pinion.ErrSubmodule, far.repo.Name)
		for _, r := range other.Requests() {
			if r.Authorization != "" {
				t.Fatalf("the other host got a credential: %s %s", r.Method, r.Path)
			}
		}
		other.Reset()
		img := s.configured(t, keys+"\ncredentials:\n- host: '"+elsewhere+
			"'\n  token_env: THEIRS\n  user: "+parts.Admin).ensure(t, pinion.OutcomeBuilt)
		if out := s.runContainer(t, img.ID); out != "of far\n" {
			t.Errorf("the image prints %q", out)
		}
		for at, p := range map[string]*parts.Proxy{own: s.git, theirs: other} {
			for _, r := range p.Requests() {
				if !carries(r.Authorization, at) {
					t.Errorf("%s %s got another credential than its own: %q", r.Method, r.Path,
						r.Authorization)
				}
			}
		}

		// A redirect to another host is not followed, neither with a credential nor without.
		s.git.Reset()
		tmpl.push(t, append(printing(t, far), parts.Text("more", ""))...)
		other.SetHook(func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, s.gitea.URL()+r.URL.String(), http.StatusFound)
			return true
		})
		_, err = s.configured(t, keys+"\ncredentials:\n- host: '"+elsewhere+
			"'\n  token_env: THEIRS\n  user: "+parts.Admin).try(t)
		wantError(t, err, pinion.ErrSubmodule, "a redirect to another host")
	})
}

// module is a repository that is a submodule of others.
type module struct {
	repo           parts.Repo
	path, url, sha string
	modules        []module
}

// module pushes one with submodules of its own. url is its line in .gitmodules.
func (s *scene) module(
	t *testing.T, name string, private bool, url string, inner ...module,
) module {
	t.Helper()
	tmpl := s.template(t, name, parts.RepoOptions{Private: private})
	files := append(inPlace(inner...), parts.Text("word", "of "+name+"\n"))
	return module{tmpl.repo, name, url, tmpl.push(t, files...), inner}
}

// inPlace are the files of a commit that has modules.
func inPlace(modules ...module) (files []parts.File) {
	text := ""
	for _, m := range modules {
		files = append(files, parts.Submodule(m.path, m.sha))
		text += fmt.Sprintf("[submodule %q]\n\tpath = %[1]s\n\t%s\n", m.path, m.url)
	}
	if text != "" {
		files = append(files, parts.Text(".gitmodules", text))
	}
	return files
}

// printing is a template whose image prints the word of a module, and those of the modules in it.
func printing(t *testing.T, m module) []parts.File {
	words := m.path + "/word"
	for _, inner := range m.modules {
		words += " " + m.path + "/" + inner.path + "/word"
	}
	return append(busybox(t, "COPY . /context", "WORKDIR /context", "CMD cat "+words),
		inPlace(m)...)
}

// carries reports whether a header has a token, alone or with a user name.
func carries(header, token string) bool {
	if strings.HasSuffix(header, " "+token) {
		return true
	}
	_, encoded, _ := strings.Cut(header, " ")
	text, err := base64.StdEncoding.DecodeString(encoded)
	return err == nil && strings.HasSuffix(string(text), ":"+token)
}
