package e2e_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/content/proxy"
	controlapi "github.com/moby/buildkit/api/services/control"
	bkclient "github.com/moby/buildkit/client"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// canary is a credential that works, and that must turn up nowhere.
type canary struct{ token string }

// forms are the texts that give it away: itself, and in base64 alone or behind the user's name that
// it is sent with.
func (c canary) forms() []string {
	encode := func(s string) string {
		return strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(s)), "=")
	}
	basic := encode("x-access-token:" + c.token)
	// The last digit also depends on what follows.
	return []string{c.token, encode(c.token), basic, basic[:len(basic)-1]}
}

func (c canary) in(text []byte) bool {
	for _, form := range c.forms() {
		if bytes.Contains(text, []byte(form)) {
			return true
		}
	}
	return false
}

func (c canary) absent(t *testing.T, where, text string) {
	t.Helper()
	if c.in([]byte(text)) {
		t.Errorf("the token is in %s:\n%s", where, text)
	}
}

// marker is in each secretive Dockerfile and so in what the searches go through: who does not find
// it has searched nothing.
const marker = "pinion-canary-marker"

// absentBelow searches all files of a folder.
func (c canary) absentBelow(t *testing.T, dir string, wantMarker bool) {
	t.Helper()
	marked := false
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		marked = marked || bytes.Contains(text, []byte(marker))
		if c.in(text) {
			t.Errorf("the token is in %s", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if wantMarker && !marked {
		t.Errorf("the search below %s did not even find the marker", dir)
	}
}

// daemonDir is a builder with all of its state in a folder that the test can search.
type daemonDir struct {
	dir  string
	stop func()
	old  bool // BuildKit of the 0.8 line
	// history asks the builder for what it remembers of its builds; nil where it cannot be reached
	// from here.
	history func(*testing.T) string
}

// TestSecrets builds from a private repository whose Dockerfile tries to get at the credential, and
// searches for it everywhere.
func TestSecrets(t *testing.T) { onOwnDaemons(t, secrets) }

// onOwnDaemons runs a test on daemons of its own, so that it can read all that they keep.
func onOwnDaemons(t *testing.T, test func(*testing.T, *scene, daemonDir)) {
	t.Helper()
	t.Run("buildkitd", func(t *testing.T) {
		partstest.Need(t, parts.NameBuildkitd)
		dir := partstest.Dir(t)
		b, err := parts.StartBuildkitd(t.Context(), dir, parts.BuildkitdOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		s := newScene(t, containerdOwn)
		s.user = s.with("BUILDKIT_HOST", b.Addr())
		test(t, s, daemonDir{dir: dir, stop: b.Stop, history: func(t *testing.T) string {
			return buildHistory(t, b.Addr())
		}})
	})
	for _, flavour := range []parts.Flavour{parts.Docker29Containerd, parts.Docker20} {
		t.Run(string(flavour), func(t *testing.T) {
			partstest.Need(t, string(flavour))
			dir := partstest.Dir(t)
			d, err := parts.StartDockerd(t.Context(), dir, flavour)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { d.Close() })
			test(t, newSceneOn(t, d.Host()),
				daemonDir{dir: dir, stop: d.Stop, old: flavour == parts.Docker20})
		})
	}
}

func secrets(t *testing.T, s *scene, d daemonDir) {
	t.Helper()
	c := canary{s.token(t)}
	u := s.with("MOLECULE_GITEA_TOKEN", c.token)
	tmpl := s.template(t, runtime, parts.RepoOptions{Private: true})
	host := strings.TrimPrefix(s.git.URL(), "http://")
	stranger := newStranger(t)

	lines := prying(host)
	if !d.old {
		// Old versions of BuildKit treat it as a plain download.
		lines = append(lines, "ADD "+stranger.repoURL+" /other")
	}
	tmpl.busybox(t, lines...)
	meta := filepath.Join(s.env["HOME"], "meta.json")
	built := u.succeed(t, "ensure", runtime, "--progress", "plain", "--debug", "--format", "json",
		"--metadata-file", meta)
	if !strings.Contains(built.stderr, marker) ||
		!strings.Contains(built.stderr, "no secrets here") {
		t.Errorf("the steps did not pry, or found something:\n%s", built.stderr)
	}
	c.absent(t, "stdout", built.stdout)
	c.absent(t, "stderr", built.stderr)
	c.absent(t, "the metadata file", read(t, meta))
	c.searchImage(t, s, parseImage(t, built).ID)
	if !d.old {
		stranger.wantNoCredentials(t, c)
	}

	// The builder was given the credential for the one repository, or the search would prove
	// nothing.
	authorized := 0
	for _, r := range s.git.Requests() {
		if c.in([]byte(r.Authorization)) && strings.Contains(r.Path, "info/refs") {
			authorized++
		}
	}
	if authorized == 0 {
		t.Error("the builder's fetch showed no credential")
	}

	hit := u.succeed(t, "ensure", runtime, "--debug")
	c.absent(t, "the output of a hit", hit.stdout+hit.stderr)
	for _, args := range [][]string{{"doctor"}, {"ls"}, {"resolve", runtime}} {
		r := u.run(t, append(args, "--debug")...)
		c.absent(t, args[0], r.stdout+r.stderr)
	}
	c.failures(t, s, u, tmpl)

	c.absentBelow(t, s.env["HOME"], false)
	if d.history != nil {
		history := d.history(t)
		for _, word := range []string{tmpl.repo.Name, marker, "buildDefinition"} {
			if !strings.Contains(history, word) {
				t.Errorf("the history of %d bytes does not say %q", len(history), word)
			}
		}
		c.absent(t, "the build history", history)
	}
	// What the daemon holds open is on the disk afterwards.
	d.stop()
	c.absentBelow(t, d.dir, true)
}

// prying are the lines of a Dockerfile that goes for the credential in all ways that BuildKit has.
func prying(host string) []string {
	var mounts []string
	for _, id := range []string{"GIT_AUTH_TOKEN", "GIT_AUTH_HEADER", "GIT_AUTH_TOKEN." + host,
		"GIT_AUTH_HEADER." + host, "MOLECULE_GITEA_TOKEN"} {
		mounts = append(mounts,
			"--mount=type=secret,id="+id+",target=/run/secrets/"+strings.NewReplacer(".", "_", ":",
				"_").Replace(id))
	}
	return []string{
		"RUN echo " + marker + `; echo in-the-"layer" > /proof`,
		"RUN " + strings.Join(mounts, " ") + " mkdir -p /leak; env > /leak/env; env; " +
			`for f in /run/secrets/*; do if [ -f "$f" ]; then cat "$f"; ` +
			`cat "$f" >> /leak/secrets; echo FOUND "$f"; exit 1; fi; done; echo no "secrets here"`,
		"ENV WORD=" + marker,
	}
}

// failures: an error must not tell it either.
func (c canary) failures(t *testing.T, s *scene, u user, tmpl template) {
	t.Helper()
	tell := func(what string, r result, code int) {
		if r.code != code {
			t.Errorf("%s: exit code %d, not %d\n%s", what, r.code, code, r.stderr)
		}
		c.absent(t, what, r.stdout+r.stderr)
	}
	args := []string{"ensure", runtime, "--progress", "plain", "--debug"}
	tmpl.busybox(t, "RUN exit 3")
	tell("a failing RUN", u.run(t, args...), exitBuild)

	// Another private repository of the same server: the credential would do, but the gate is
	// closed by now.
	other := s.template(t, "autogen", parts.RepoOptions{Private: true})
	other.busybox(t)
	tmpl.busybox(t, "ADD "+other.url()+".git /stolen")
	s.git.Reset()
	tell("ADD of another private repository", u.run(t, args...), exitBuild)
	for _, r := range s.git.Requests() {
		if strings.Contains(r.Path, other.repo.Name) && r.Authorization != "" {
			t.Errorf("the builder showed a credential for %s", r.Path)
		}
	}

	asking := newAsker(t)
	tmpl.busybox(t, "ADD "+asking.url+"/x.git /x")
	tell("ADD from a server that asks for a credential", u.run(t, args...), exitBuild)
	asking.wantNoCredentials(t, c)

	s.git.SetHook(func(w http.ResponseWriter, r *http.Request) bool {
		// Fault 27: a server that repeats the request's credentials.
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, "no: "+r.Header.Get("Authorization")+" "+c.token)
		return true
	})
	defer s.git.SetHook(nil)
	tell("a server that echoes it", u.run(t, args...), exitUnauthorized)
}

// searchImage searches the image and the engine's description of it.
func (c canary) searchImage(t *testing.T, s *scene, id string) {
	t.Helper()
	inspect, err := s.docker.ImageInspect(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	history, err := s.docker.ImageHistory(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for where, value := range map[string]any{"the image": inspect, "its history": history} {
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(text, []byte(marker)) {
			t.Errorf("%s does not even hold the marker: %s", where, text)
		}
		c.absent(t, where, string(text))
	}
	saved, err := s.docker.ImageSave(t.Context(), []string{id})
	if err != nil {
		t.Fatal(err)
	}
	defer saved.Close()
	tar, err := io.ReadAll(saved)
	if err != nil {
		t.Fatal(err)
	}
	// The layers are in it as they are: this stands in one of them and nowhere else.
	if !bytes.Contains(tar, []byte("in-the-layer")) {
		t.Error("the saved image's layers cannot be searched")
	}
	if c.in(tar) {
		t.Error("the token is in the saved image")
	}
}

// recorder keeps the credentials that a server is shown.
type recorder struct {
	url     string
	repoURL string
	asked   func() []parts.Request
}

func (r recorder) wantNoCredentials(t *testing.T, c canary) {
	t.Helper()
	asked := r.asked()
	if len(asked) == 0 {
		t.Error("the other server was not asked")
	}
	for _, request := range asked {
		if request.Authorization != "" || c.in([]byte(request.Path+request.Query)) {
			t.Errorf("the other server was shown %+v", request)
		}
	}
}

// newStranger is another git server, with a repository to fetch.
func newStranger(t *testing.T) recorder {
	t.Helper()
	server := partstest.GitHTTP(t)
	if err := server.CreateRepo(t.Context(), "x", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Push(t.Context(), "x",
		parts.Commit{Files: []parts.File{parts.Text("word", "x")}}); err != nil {
		t.Fatal(err)
	}
	p := partstest.Proxy(t, server.URL())
	return recorder{url: p.URL(), repoURL: p.URL() + "/x.git", asked: p.Requests}
}

// newAsker is one that asks for credentials and has nothing.
func newAsker(t *testing.T) recorder {
	t.Helper()
	var mu sync.Mutex
	var asked []parts.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, parts.Request{Method: r.Method, Path: r.URL.Path,
			Authorization: r.Header.Get("Authorization")})
		w.Header().Set("WWW-Authenticate", `Basic realm="more"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(server.Close)
	return recorder{url: server.URL, asked: func() []parts.Request {
		mu.Lock()
		defer mu.Unlock()
		return asked
	}}
}

// buildHistory is what buildkitd remembers, provenance included.
func buildHistory(t *testing.T, addr string) string {
	t.Helper()
	c, err := bkclient.New(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var all strings.Builder
	for _, event := range partstest.BuildHistory(t, c) {
		all.WriteString(event.String())
		for _, d := range documents(event.Record) {
			desc := ocispec.Descriptor{Digest: digest.Digest(d.Digest), Size: d.Size}
			body, err := content.ReadBlob(t.Context(),
				proxy.NewContentStore(c.ContentClient()), desc)
			if err != nil {
				t.Fatalf("read the %s of a build: %v", d.MediaType, err)
			}
			all.Write(body)
		}
	}
	return all.String()
}

// documents are what a record of the history leads to: logs, traces, errors and attestations.
func documents(record *controlapi.BuildHistoryRecord) (all []*controlapi.Descriptor) {
	for _, d := range append(record.GetResult().GetAttestations(), record.GetLogs(),
		record.GetTrace(), record.GetExternalError()) {
		if d != nil {
			all = append(all, d)
		}
	}
	for _, result := range record.GetResults() {
		all = append(all, result.GetAttestations()...)
	}
	return all
}
