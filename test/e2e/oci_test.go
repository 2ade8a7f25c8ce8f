package e2e_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gofrs/flock"
	"github.com/moby/moby/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// layout is a folder that a scene's user keeps images in.
type layout struct {
	*scene
	dir string
}

func newLayout(t *testing.T, c cell) layout {
	t.Helper()
	s := newScene(t, c)
	dir := filepath.Join(t.TempDir(), "images")
	s.user = s.with("PINION_STORE", "oci:"+dir)
	return layout{s, dir}
}

// names are the image IDs by name, as any reader of the format finds them.
func (l layout) names(t *testing.T) map[string]string {
	t.Helper()
	var index ocispec.Index
	body, err := os.ReadFile(filepath.Join(l.dir, ocispec.ImageIndexFile))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	decode(t, string(body), &index)
	names := map[string]string{}
	for _, d := range index.Manifests {
		names[d.Annotations[ocispec.AnnotationRefName]] = d.Digest.String()
	}
	return names
}

// blobs are sizes by file name.
func (l layout) blobs(t *testing.T) map[string]int64 {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(l.dir, "blobs", "sha256"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	sizes := map[string]int64{}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		sizes[e.Name()] = info.Size()
	}
	return sizes
}

// noTrace checks that nothing is left of unfinished work.
func (l layout) noTrace(t *testing.T) {
	t.Helper()
	for _, dir := range []string{"tmp", "loose"} {
		if leftovers, _ := os.ReadDir(filepath.Join(l.dir, ".pinion", dir)); len(leftovers) > 0 {
			t.Errorf("left behind in %s: %v", dir, leftovers)
		}
	}
}

// packed is the folder as an archive, which is what `docker load` and `ctr image import` take.
func (l layout) packed(t *testing.T) io.Reader {
	t.Helper()
	archive, err := exec.CommandContext(t.Context(), "tar", "-C", l.dir, "-c", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(archive)
}

// TestLayoutFlow is the life of a template in a folder, from each builder: built, hit, moved on
// with one layer, lost, pruned. An engine reads what is there.
func TestLayoutFlow(t *testing.T) {
	onCells(t, []cell{containerdStandalone, containerdOwn}, func(t *testing.T, c cell) {
		l := newLayout(t, c)
		tmpl, first := l.prepare(t, "RUN echo one > /word", "CMD cat /word")

		built := l.ensure(t, pinion.OutcomeBuilt)
		l.wantLayout(t, tmpl, built, first)
		if built.Delivery.LayersSent == 0 || built.Delivery.LayersReused != 0 {
			t.Errorf("the delivery was %+v", built.Delivery)
		}
		latest := "molecule-local/workspace-template-hermes:latest"
		if names := l.names(t); len(names) != 2 || names[built.Reference] != built.ID ||
			names[latest] != built.ID {
			t.Errorf("names are %v", names)
		}
		before := l.blobs(t)

		l.reset()
		hit := l.with("BUILDKIT_HOST", "unix:///nowhere/buildkitd.sock").ensure(t,
			pinion.OutcomeHit)
		if hit.ID != built.ID || len(l.git.Requests()) != 1 || len(l.engine.Requests()) != 0 {
			t.Errorf("hit %+v, git server asked %+v, engine asked %+v", hit, l.git.Requests(),
				l.engine.Requests())
		}

		second := tmpl.busybox(t, "RUN echo two > /word", "CMD cat /word")
		moved := l.ensure(t, pinion.OutcomeBuilt)
		l.wantLayout(t, tmpl, moved, second)
		if moved.Delivery.LayersSent == 0 || moved.Delivery.LayersReused == 0 {
			t.Errorf("the folder had most layers, and the delivery was %+v", moved.Delivery)
		}
		written := int64(0)
		for name, size := range l.blobs(t) {
			if _, there := before[name]; !there {
				written += size
			}
		}
		if documents := written - moved.Delivery.Bytes; documents <= 0 || documents > 64<<10 {
			t.Errorf("%d bytes are new, and the delivery was %+v", written, moved.Delivery)
		}

		l.wantReadable(t, moved.Reference, "two\n")

		if err := os.RemoveAll(filepath.Join(l.dir, "blobs")); err != nil {
			t.Fatal(err)
		}
		again := l.ensure(t, pinion.OutcomeBuilt)
		if again.ID != moved.ID || again.Delivery.LayersReused != 0 {
			t.Errorf("built again: %+v, %+v", again, again.Delivery)
		}

		third := tmpl.busybox(t, "RUN echo three > /word")
		l.ensure(t, pinion.OutcomeBuilt)
		report, err := l.open(t).Prune(t.Context(), pinion.PruneOptions{Keep: 1})
		if err != nil {
			t.Fatal(err)
		}
		if names := l.names(t); len(names) != 2 || names[tmpl.reference(third)] == "" ||
			report.Reclaimed == 0 {
			t.Errorf("after the prune there is %v; %+v", names, report)
		}
		l.noTrace(t)
		l.ensure(t, pinion.OutcomeHit)
	})
}

func (l layout) wantLayout(t *testing.T, tmpl template, img pinion.Image, sha string) {
	t.Helper()
	if img.Reference != tmpl.reference(sha) || img.ID != img.ManifestDigest ||
		img.Delivery.Method != buildkit.MethodOCI || img.Delivery.Reason != "" {
		t.Errorf("commit %s gave %+v, %+v", sha, img, img.Delivery)
	}
	kind := buildkit.KindDocker
	if l.standalone {
		kind = buildkit.KindBuildkitd
	}
	if img.Builder.Kind != kind || len(img.Warnings) > 0 {
		t.Errorf("builder is %+v, warnings %q", img.Builder, img.Warnings)
	}
	if l.hasInEngine(t, img.Reference) {
		t.Errorf("%s is in the engine too", img.Reference)
	}
	if list, err := l.open(t).List(t.Context()); err != nil || len(list) == 0 ||
		list[0].ImageID != img.ID {
		t.Errorf("list is %+v, %v", list, err)
	}
}

func (l layout) hasInEngine(t *testing.T, ref string) bool {
	t.Helper()
	_, err := l.docker.ImageInspect(t.Context(), ref)
	return err == nil
}

// wantReadable has an engine load the folder and run an image of it.
func (l layout) wantReadable(t *testing.T, ref, output string) {
	t.Helper()
	resp, err := l.docker.ImageLoad(t.Context(), l.packed(t))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Close()
	said, err := io.ReadAll(resp)
	if err != nil || bytes.Contains(said, []byte("rror")) {
		t.Errorf("docker load says %s, %v", said, err)
	}
	if out := l.runContainer(t, ref); out != output {
		t.Errorf("the container prints %q", out)
	}
	for name := range l.names(t) {
		if _, err := l.docker.ImageRemove(t.Context(), name,
			client.ImageRemoveOptions{}); err != nil {
			t.Error(err)
		}
	}
}

// TestLayoutWriters: several processes, each with templates of its own, into one folder at once.
func TestLayoutWriters(t *testing.T) {
	l := newLayout(t, containerdStandalone)
	names := []string{"hermes", "claude-code", "langgraph", "crewai"}
	want := map[string]string{}
	for _, name := range names {
		tmpl := l.template(t, name, parts.RepoOptions{})
		want[name] = tmpl.reference(tmpl.busybox(t, "RUN echo "+name+" > /word"))
	}
	var running []*process
	for i, name := range names {
		// Records and locks of their own, so that the folder is all they share.
		u := l.with("MOLECULE_LOCAL_BUILD_CACHE", filepath.Join(t.TempDir(), fmt.Sprint(i)))
		running = append(running, u.start(t, "ensure", name))
	}
	for i, p := range running {
		if r := p.result(t); r.code != 0 || strings.TrimSpace(r.stdout) != want[names[i]] {
			t.Errorf("exit code %d, stdout %q\n%s", r.code, r.stdout, r.stderr)
		}
	}
	got := l.names(t)
	for _, ref := range want {
		if got[ref] == "" {
			t.Errorf("%s has been lost; there is %v", ref, got)
		}
	}
	if len(got) != 2*len(want) {
		t.Errorf("names are %v", got)
	}
}

// TestFault43_KilledWhileReceiving: kill -9 between the blobs and the name. Nothing is named, the
// next run works, and what the killed one left is swept.
func TestFault43_KilledWhileReceiving(t *testing.T) {
	l := newLayout(t, containerdStandalone)
	tmpl, first := l.prepare(t, "RUN echo killed > /word")
	private := filepath.Join(l.dir, ".pinion")
	write(t, filepath.Join(private, "tmp", "half a layer"), "half", 0o600)
	index := flock.New(filepath.Join(private, "index.lock"))
	if err := index.Lock(); err != nil {
		t.Fatal(err)
	}
	p := l.start(t, "ensure", runtime)
	eventually(t, "layers, config and manifest", func() bool { return len(l.blobs(t)) > 2 })
	p.kill()
	if err := index.Unlock(); err != nil {
		t.Fatal(err)
	}
	if names := l.names(t); len(names) > 0 {
		t.Errorf("names are %v", names)
	}
	wantRecords(t, l.scene, 0)
	// The next commit needs only some of the blobs.
	second := tmpl.busybox(t, "RUN echo alive > /word")
	img := l.ensure(t, pinion.OutcomeBuilt)
	if names := l.names(t); names[tmpl.reference(second)] != img.ID ||
		names[tmpl.reference(first)] != "" || img.Delivery.LayersReused == 0 {
		t.Errorf("names are %v, delivery %+v", names, img.Delivery)
	}
	l.noTrace(t)
	var manifest ocispec.Manifest
	decode(t, read(t, filepath.Join(l.dir, "blobs", "sha256",
		strings.TrimPrefix(img.ID, "sha256:"))), &manifest)
	if n := len(l.blobs(t)); n != 2+len(manifest.Layers) {
		t.Errorf("%d blobs are left of an image with %d layers", n, len(manifest.Layers))
	}
	l.ensure(t, pinion.OutcomeHit)
}

// TestLayoutWithoutEngine: nothing is named, no engine answers, and the managed builder fills the
// folder.
func TestLayoutWithoutEngine(t *testing.T) {
	partstest.OnSomeDays(t)
	m := newManagedScene(t)
	dir := filepath.Join(t.TempDir(), "images")
	u := m.user.withoutEngine(t).with("PINION_STORE", "oci:"+dir)
	ensure := func(args ...string) (img struct {
		Outcome, Platform string
		Builder           struct{ Kind string }
		Delivery          struct{ Method string }
	}) {
		t.Helper()
		decode(t, runBinary(t, u, m.bin,
			append([]string{"ensure", "--format", "json", runtime}, args...)...), &img)
		return img
	}
	if img := ensure("--platform", "native"); img.Outcome != "built" ||
		img.Builder.Kind != "managed" || img.Delivery.Method != "oci" {
		t.Errorf("got %+v", img)
	}
	runBinary(t, u, m.bin, "builder", "stop")
	if img := ensure("--platform", "native"); img.Outcome != "hit" {
		t.Errorf("got %+v", img)
	}
	out := runBinary(t, u, m.bin, "doctor", "--repo-prefix", m.prefix)
	for _, word := range []string{"OCI layout in " + dir, "managed v0.",
		"no Docker engine answers"} {
		if !strings.Contains(out, word) {
			t.Errorf("doctor does not say %q:\n%s", word, out)
		}
	}
}

// withoutEngine is a user whose Docker context leads to an engine that is not there. Nothing names
// it.
func (u user) withoutEngine(t *testing.T) user {
	t.Helper()
	u = u.with()
	delete(u.env, "DOCKER_HOST")
	docker := filepath.Join(u.env["HOME"], ".docker")
	sum := sha256.Sum256([]byte("gone"))
	write(t, filepath.Join(docker, "config.json"), `{"currentContext":"gone"}`, 0o600)
	endpoint := map[string]any{"Host": "unix:///nowhere/docker.sock"}
	meta, err := json.Marshal(map[string]any{"Name": "gone",
		"Endpoints": map[string]any{"docker": endpoint}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(docker, "contexts", "meta", hex.EncodeToString(sum[:]), "meta.json"),
		string(meta), 0o600)
	return u
}

// TestNoEngine: the errors have advice.
func TestNoEngine(t *testing.T) {
	s := newScene(t, containerdStandalone)
	s.prepare(t, "RUN echo nobody")
	u := s.withoutEngine(t)
	u.fail(t, exitStore, []string{"start the Docker engine", "--store oci:DIR"}, "ensure", runtime)
	// One that was named is never replaced by another builder.
	delete(u.env, "BUILDKIT_HOST")
	named := u.with("DOCKER_HOST", "unix:///nowhere/docker.sock", "PINION_STORE",
		"oci:"+t.TempDir())
	named.fail(t, exitNoBuilder, []string{"/nowhere/docker.sock"}, "ensure", runtime)
	// The classic store's BuildKit hands out no layers; this test's binary has no program for a
	// managed one beside it.
	classic := u.with("DOCKER_HOST", engine(t, parts.Docker29Classic).Host(), "PINION_STORE",
		"oci:"+t.TempDir())
	classic.fail(t, exitNoBuilder, []string{"classic image store"}, "ensure", runtime)
	u.with("PINION_STORE", "tar:x").fail(t, exitUsage, []string{"oci:DIR"}, "ensure", runtime)
}

// TestLayoutInRegistryMode: only an engine pulls.
func TestLayoutInRegistryMode(t *testing.T) {
	u := newUser(t).with("PINION_STORE", "oci:"+t.TempDir(), "MOLECULE_IMAGE_REGISTRY",
		"registry.example.com")
	u.fail(t, exitStore, []string{"only a Docker engine pulls"}, "ensure", runtime)
}
