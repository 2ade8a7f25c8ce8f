package e2e_test

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"path"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// attested is a scene with a store that holds an index, and saves the image of a name.
type attested struct {
	*scene
	save func(t *testing.T, ref string) io.Reader
	// engine reports whether containers can be made.
	engine bool
	// kept checks the image by the store's own word.
	kept func(t *testing.T, img pinion.Image)
}

// saved is the engine as such a store.
func saved(s *scene) attested {
	save := func(t *testing.T, ref string) io.Reader {
		t.Helper()
		out, err := s.docker.ImageSave(t.Context(), []string{ref})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { out.Close() })
		return out
	}
	return attested{scene: s, save: save, engine: true, kept: s.wantImage}
}

// onAttested are all ways of an index into a store that holds one.
func onAttested(t *testing.T, f func(*testing.T, attested)) {
	t.Helper()
	for _, c := range []cell{containerdOwn, containerdStandalone} {
		t.Run(c.String(), func(t *testing.T) {
			f(t, saved(newScene(t, c)))
		})
		t.Run("layout from "+c.String(), func(t *testing.T) {
			l := newLayout(t, c)
			save := func(t *testing.T, _ string) io.Reader { t.Helper(); return l.packed(t) }
			f(t, attested{scene: l.scene, save: save, kept: func(t *testing.T, img pinion.Image) {
				t.Helper()
				if got := l.names(t)[img.Reference]; got != img.ID {
					t.Errorf("%s is %s, not %s", img.Reference, got, img.ID)
				}
				l.noTrace(t)
			}})
		})
	}
}

// blobs are the small blobs of an archive by digest, and whether a larger one is there.
func (a attested) blobs(t *testing.T, ref string) map[digest.Digest][]byte {
	t.Helper()
	blobs := map[digest.Digest][]byte{}
	for files := tar.NewReader(a.save(t, ref)); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return blobs
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg || path.Base(path.Dir(h.Name)) != "sha256" {
			continue
		}
		body, err := io.ReadAll(files)
		if err != nil {
			t.Fatal(err)
		}
		blobs[digest.FromBytes(body)] = body
	}
}

// provenance finds the statement as a reader of registries does, and everything that the image
// leads to.
func (a attested) provenance(
	t *testing.T, img pinion.Image,
) (statement string, blobs map[digest.Digest][]byte) {
	t.Helper()
	blobs = a.blobs(t, img.Reference)
	open := func(d digest.Digest, to any) {
		t.Helper()
		if err := json.Unmarshal(blobs[d], to); err != nil {
			t.Fatalf("%s: %v", d, err)
		}
	}
	var index ocispec.Index
	open(digest.Digest(img.ID), &index)
	var image digest.Digest
	for _, m := range index.Manifests {
		var manifest ocispec.Manifest
		open(m.Digest, &manifest)
		for _, part := range append(manifest.Layers, manifest.Config) {
			if int64(len(blobs[part.Digest])) != part.Size {
				t.Errorf("%s has the part %s, of which %d bytes are there", m.Digest, part.Digest,
					len(blobs[part.Digest]))
			}
		}
		if m.Annotations["vnd.docker.reference.type"] != "attestation-manifest" {
			image = m.Digest
			continue
		}
		if of := m.Annotations["vnd.docker.reference.digest"]; of != image.String() {
			t.Errorf("the statement is about %s, not %s", of, image)
		}
		if len(manifest.Layers) != 1 ||
			!strings.Contains(manifest.Layers[0].Annotations["in-toto.io/predicate-type"],
				"slsa.dev/provenance/") {
			t.Fatalf("the attestation's manifest is %+v", manifest)
		}
		statement = string(blobs[manifest.Layers[0].Digest])
	}
	if image == "" || statement == "" || len(index.Manifests) != 2 ||
		!strings.Contains(statement, image.Encoded()) {
		t.Fatalf("the index is %+v, the statement %q", index, statement)
	}
	return statement, blobs
}

// TestAttest: an image with provenance beside the one without, from a private repository; moved on
// by one layer.
func TestAttest(t *testing.T) {
	partstest.OnSomeDays(t)
	onAttested(t, func(t *testing.T, a attested) {
		c := canary{a.token(t)}
		a.user = a.with("MOLECULE_GITEA_TOKEN", c.token)
		tmpl := a.template(t, runtime, parts.RepoOptions{Private: true})
		sha := tmpl.busybox(t, "RUN echo "+marker, "RUN echo attest > /word", "CMD true")
		ensure := func(want pinion.Outcome, args ...string) pinion.Image {
			t.Helper()
			img := parseImage(t, a.succeed(t,
				append([]string{"ensure", runtime, "--format", "json"}, args...)...))
			if img.Outcome != want || len(img.Warnings) > 0 {
				t.Errorf("%v: %s because %q, not %s; warnings %q", args, img.Outcome, img.Reason,
					want, img.Warnings)
			}
			a.kept(t, img)
			return img
		}
		plain := ensure(pinion.OutcomeBuilt)
		ids := map[string]string{plain.ID: "none"}
		for _, mode := range []string{"min", "max"} {
			entry := "type=provenance,mode=" + mode
			img := ensure(pinion.OutcomeBuilt, "--attest", entry)
			if ids[img.ID] != "" || img.Reference != tmpl.reference(sha)+".provenance-"+mode {
				t.Errorf("%s gave %s, %s", mode, img.Reference, img.ID)
			}
			ids[img.ID] = mode
			statement, blobs := a.provenance(t, img)
			if !strings.Contains(statement, sha) || !strings.Contains(statement, tmpl.repo.Name) ||
				strings.Contains(statement, marker) != (mode == "max") {
				t.Errorf("%s states\n%s", mode, statement)
			}
			for d, body := range blobs {
				c.absent(t, d.String(), string(body))
			}
			if again := ensure(pinion.OutcomeHit, "--attest", entry); again.ID != img.ID {
				t.Errorf("the hit is %s, not %s", again.ID, img.ID)
			}
		}
		both := ensure(pinion.OutcomeBuilt, "--attest", "provenance", "--label", "team=red")
		if !strings.HasSuffix(both.Reference, ".provenance-max") ||
			strings.Count(both.Reference, ".") != 2 {
			t.Errorf("labels and provenance give %s", both.Reference)
		}
		ensure(pinion.OutcomeHit)

		if a.engine {
			a.stopped(t, both.ID)
		}
		// The prefix makes the layer another one than in an earlier run on the same engine.
		tmpl.busybox(t, "RUN echo "+marker, "RUN echo "+a.prefix+" > /word", "CMD true")
		next := ensure(pinion.OutcomeBuilt, "--attest", "provenance")
		a.provenance(t, next)
		if a.standalone && (next.Delivery.LayersSent != 1 || next.Delivery.LayersReused == 0) {
			t.Errorf("one layer has changed, and the delivery was %+v", next.Delivery)
		}
		// Those with labels count with those without.
		if du := a.succeed(t, "du").stdout; strings.Count(du, "hermes ") != 3 {
			t.Errorf("du does not know them:\n%s", du)
		}
		if a.engine {
			ensure(pinion.OutcomeBuilt, "--attest", "provenance", "--label", "team=red")
		}
		if out := a.succeed(t, "prune", "--keep", "1").stdout; strings.Contains(out,
			"a name that Pinion does not give") {
			t.Errorf("prune does not know them:\n%s", out)
		}
		ensure(pinion.OutcomeHit, "--attest", "provenance")
		if a.engine { // a container was made of it
			a.kept(t, both)
		}
	})
}

// TestAttestRefused: what cannot be held, or is nothing to state, is refused before a build.
func TestAttestRefused(t *testing.T) {
	onCells(t, []cell{classicOwn, classicStandalone, oldOwn, oldStandalone},
		func(t *testing.T, c cell) {
			s := newScene(t, c)
			s.prepare(t, "RUN echo never")
			s.fail(t, exitUsage, []string{"classic image store", "containerd-snapshotter", "oci:"},
				"ensure", runtime, "--attest", "type=provenance")
			wantNoTrace(t, s)
		})
	s := newScene(t, containerdOwn)
	for entry, word := range map[string]string{
		"type=sbom": "scan", "sbom": "scan", "type=provenance,mode=most": "mode=max",
		"type=provenance,mode=min,inline-only=true": "mode=max",
		"mode=min": "type=provenance", "": "type=provenance", "\"": "type=provenance",
	} {
		s.fail(t, exitUsage, []string{word}, "ensure", runtime, "--attest", entry)
	}
	s.fail(t, exitUsage, []string{"working tree"}, "ensure", runtime, "--attest", "provenance",
		"--path", t.TempDir())
	s.with("MOLECULE_IMAGE_REGISTRY", "registry.example/x").fail(t, exitUsage,
		[]string{"attestation"}, "ensure", runtime, "--attest", "provenance")
}

// TestAttestPushed: the registry has the very same index, the image and the statement.
func TestAttestPushed(t *testing.T) {
	d := newDepot(t)
	onCells(t, []cell{containerdOwn, containerdStandalone}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		_, sha := s.prepare(t, "RUN date +%s%N > /once", "CMD cat /once")
		prefix := d.host + "/" + s.prefix + "team"
		member := d.withLogin(t, s.user, depotPassword)
		img := parseImage(t, member.succeed(t, "ensure", runtime, "--attest", "provenance",
			"--push", "--registry", prefix, "--format", "json"))
		if s.runContainer(t, img.ID) == "" {
			t.Error("the image does not run")
		}
		repository := s.prefix + "team/workspace-template-hermes"
		var digests []string
		for _, tag := range []string{sha[:12] + ".provenance-max", "latest.provenance-max"} {
			there, _ := d.manifest(t, repository, tag)
			digests = append(digests, there)
		}
		if len(img.Pushed) != 2 || digests[0] != img.ID || digests[1] != img.ID ||
			img.Pushed[0].Digest != img.ID {
			t.Fatalf("%s was pushed as %q, %+v", img.ID, digests, img.Pushed)
		}
		_, blobs := saved(s).provenance(t, img)
		var index ocispec.Index
		decode(t, string(blobs[digest.Digest(img.ID)]), &index)
		for _, m := range index.Manifests {
			if got, _ := d.manifest(t, repository, m.Digest.String()); got != m.Digest.String() {
				t.Errorf("the registry has %q for %s", got, m.Digest)
			}
		}
	})
}

// TestAttestWithoutLayers: BuildKit makes no statement for an image without layers.
func TestAttestWithoutLayers(t *testing.T) {
	onCells(t, []cell{containerdOwn, containerdStandalone}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		s.template(t, runtime, parts.RepoOptions{}).push(t,
			parts.Text("Dockerfile", "FROM scratch\nLABEL a=b\n"))
		s.fail(t, exitBuild, []string{"has no layers", "no provenance"}, "ensure", runtime,
			"--attest", "provenance")
		s.succeed(t, "ensure", runtime)
	})
}

// TestAttestOtherPlatform: the engine is not of the image's platform.
func TestAttestOtherPlatform(t *testing.T) {
	s := newScene(t, containerdStandalone)
	tmpl := s.template(t, runtime, parts.RepoOptions{})
	sha := tmpl.push(t, parts.Text("Dockerfile", "FROM scratch\nCOPY word /\n"),
		parts.Text("word", "x"))
	other := s.with("MOLECULE_IMAGE_PLATFORM", "linux/386")
	img := other.ensure(t, pinion.OutcomeBuilt, pinion.Attest("provenance"))
	if img.Platform != "linux/386" ||
		img.Reference != tmpl.reference(sha)+".provenance-max-linux-386" {
		t.Errorf("the image is %+v", img)
	}
	s.wantImage(t, img)
	other.ensure(t, pinion.OutcomeHit, pinion.Attest("provenance"))
}
