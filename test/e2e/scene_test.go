package e2e_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/moby/moby/client"

	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// runtime is the template that tests ask for where the name does not matter.
const runtime = "hermes"

// cell is one combination of an engine with its image store and a builder.
type cell struct {
	store parts.Flavour
	// standalone takes a buildkitd beside the engine, instead of the engine's own BuildKit.
	standalone bool
}

func (c cell) String() string {
	if c.standalone {
		return string(c.store) + "/buildkitd"
	}
	return string(c.store) + "/own"
}

// Cells for tests that do not go through all of them.
var (
	containerdOwn        = cell{store: parts.Docker29Containerd}
	containerdStandalone = cell{store: parts.Docker29Containerd, standalone: true}
	classicOwn           = cell{store: parts.Docker29Classic}
	classicStandalone    = cell{store: parts.Docker29Classic, standalone: true}
	oldOwn               = cell{store: parts.Docker20}
	oldStandalone        = cell{store: parts.Docker20, standalone: true}
)

func allCells() (cells []cell) {
	for _, store := range parts.Flavours() {
		cells = append(cells, cell{store: store}, cell{store: store, standalone: true})
	}
	return cells
}

func builders() []cell { return []cell{containerdOwn, classicOwn, oldOwn, classicStandalone} }

// onCells runs a test on one of the cells, see [partstest.Sample].
func onCells(t *testing.T, cells []cell, f func(*testing.T, cell)) {
	t.Helper()
	onEachCell(t, partstest.Sample(t, cells), f)
}

func onEachCell(t *testing.T, cells []cell, f func(*testing.T, cell)) {
	t.Helper()
	for _, c := range cells {
		t.Run(c.String(), func(t *testing.T) { f(t, c) })
	}
}

// onCellsAndInAFolder runs a test on a scene of each cell, and on one more whose images are in a
// folder.
func onCellsAndInAFolder(
	t *testing.T, cells []cell, f func(t *testing.T, s *scene, isFolder bool),
) {
	t.Helper()
	onCells(t, cells, func(t *testing.T, c cell) { f(t, newScene(t, c), false) })
	t.Run(containerdOwn.String()+" into a folder", func(t *testing.T) {
		s := newScene(t, containerdOwn)
		s.user = s.with("PINION_STORE", "oci:"+filepath.Join(t.TempDir(), "images"))
		f(t, s, true)
	})
}

// scene is the surroundings of a test: git server and engine, each behind a proxy, and a user.
type scene struct {
	user
	cell
	gitea  *parts.Gitea
	git    *parts.Proxy   // before the git server
	engine *parts.Proxy   // before the engine
	docker *client.Client // straight to the engine
	prefix string         // of the scene's repositories' names
}

var scenes atomic.Int64

// newScene sets up a scene on the shared parts.
func newScene(t *testing.T, c cell) *scene {
	t.Helper()
	s := newSceneOn(t, engine(t, c.store).Host())
	s.cell = c
	if c.standalone {
		s.user = s.with("BUILDKIT_HOST", buildkitd(t).Addr())
	}
	return s
}

// newSceneOn sets one up on any engine.
func newSceneOn(t *testing.T, host string) *scene {
	t.Helper()
	g := gitea(t)
	s := &scene{
		gitea: g, git: partstest.Proxy(t, g.URL()), engine: partstest.Proxy(t, host),
		docker: dockerClient(t, host),
		prefix: fmt.Sprintf("s%d-", scenes.Add(1)),
	}
	s.user = newUser(t).with("DOCKER_HOST", s.engine.URL(), "MOLECULE_LOCAL_TEMPLATE_REPO_PREFIX",
		s.repoPrefix(s.git.URL()))
	return s
}

// repoPrefix is what a runtime's name is appended to, for the git server at an address.
func (s *scene) repoPrefix(server string) string {
	return server + "/" + parts.Admin + "/" + s.prefix
}

// reset forgets what the proxies have seen.
func (s *scene) reset() {
	s.git.Reset()
	s.engine.Reset()
}

// template is a repository in a scene.
type template struct {
	scene *scene
	name  string
	repo  parts.Repo
}

// template makes the repository of a runtime.
func (s *scene) template(t *testing.T, name string, opts parts.RepoOptions) template {
	t.Helper()
	repo, err := s.gitea.CreateRepo(t.Context(), parts.Admin, s.prefix+name, opts)
	if err != nil {
		t.Fatal(err)
	}
	return template{s, name, repo}
}

// prepare makes a public template with a first commit.
func (s *scene) prepare(t *testing.T, lines ...string) (tmpl template, sha string) {
	t.Helper()
	tmpl = s.template(t, runtime, parts.RepoOptions{})
	return tmpl, tmpl.busybox(t, lines...)
}

// busybox pushes a commit whose Dockerfile ends in the given lines.
func (tmpl template) busybox(t *testing.T, lines ...string) string {
	t.Helper()
	return tmpl.push(t, busybox(t, lines...)...)
}

func (tmpl template) push(t *testing.T, files ...parts.File) string {
	t.Helper()
	return tmpl.commit(t, parts.Commit{Files: files})
}

// commit pushes a commit that no other test has: equal ones would have one SHA, and with it one
// tag.
func (tmpl template) commit(t *testing.T, c parts.Commit) string {
	t.Helper()
	c.Message = fmt.Sprintf("%s %d", tmpl.repo, scenes.Add(1))
	sha, err := tmpl.scene.gitea.Push(t.Context(), tmpl.repo, c)
	if err != nil {
		t.Fatal(err)
	}
	return sha
}

// url is the repository's address as the scene's user gives it.
func (tmpl template) url() string { return tmpl.scene.git.URL() + "/" + tmpl.repo.String() }

// reference returns the name that the image of a commit must have.
func (tmpl template) reference(sha string) string {
	return "molecule-local/workspace-template-" + tmpl.name + ":" + sha[:12]
}

// token makes a credential that may read all repositories.
func (s *scene) token(t *testing.T) string {
	t.Helper()
	token, err := s.gitea.CreateToken(t.Context(), s.gitea.Administrator())
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// wantHitTraffic checks that a hit cost what it may: one request to the git server, and of the
// engine a ping and inspections.
func (s *scene) wantHitTraffic(t *testing.T) {
	t.Helper()
	asked := s.git.Requests()
	if len(asked) != 1 || asked[0].Method != "POST" ||
		!strings.HasSuffix(asked[0].Path, ".git/git-upload-pack") {
		t.Errorf("a hit asked the git server %+v", asked)
	}
	s.wantOnlyInspections(t)
}

func (s *scene) wantOnlyInspections(t *testing.T) {
	t.Helper()
	pings, inspections := 0, 0
	for _, r := range s.engine.Requests() {
		switch {
		case strings.HasSuffix(r.Path, "/_ping"):
			pings++
		case r.Method == "GET" && strings.Contains(r.Path, "/images/") &&
			strings.HasSuffix(r.Path, "/json"):
			inspections++
		default:
			t.Errorf("a hit asked the engine %s %s", r.Method, r.Path)
		}
	}
	if pings > 1 || inspections == 0 || inspections > 2 {
		t.Errorf("a hit cost %d pings and %d inspections", pings, inspections)
	}
}

// busybox is a template's files, with a Dockerfile that ends in the given lines.
func busybox(t *testing.T, lines ...string) []parts.File {
	t.Helper()
	return partstest.BusyboxTemplate(t, lines...)
}
