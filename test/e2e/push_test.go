package e2e_test

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// manifest is what the registry has under a tag or a digest, "" and nothing if it has none.
func (d *depot) manifest(
	t *testing.T, repository, reference string,
) (shown string, m ocispec.Manifest) {
	t.Helper()
	kind, content := d.content(t, repository, reference)
	if kind == "" {
		return "", m
	}
	if err := json.Unmarshal(content, &m); err != nil {
		t.Fatalf("%v: %s", err, content)
	}
	return digest.FromBytes(content).String(), m
}

// content is a manifest with its media type, which is "" if there is none.
func (d *depot) content(
	t *testing.T, repository, reference string,
) (kind string, content []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
		d.registry.URL()+"/v2/"+repository+"/manifests/"+reference, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(depotUser, depotPassword)
	req.Header["Accept"] = []string{ocispec.MediaTypeImageManifest,
		"application/vnd.docker.distribution.manifest.v2+json", ocispec.MediaTypeImageIndex}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	content, err = io.ReadAll(resp.Body)
	if resp.StatusCode == http.StatusNotFound {
		return "", nil
	}
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v: %s", resp.Status, err, content)
	}
	return resp.Header.Get("Content-Type"), content
}

// TestPush fills the registry from one machine, and another machine in registry mode runs the very
// same image.
func TestPush(t *testing.T) {
	d := newDepot(t)
	for _, c := range []struct{ from, to cell }{
		{containerdOwn, classicOwn}, {containerdStandalone, oldOwn}, {classicOwn, containerdOwn},
		{oldOwn, classicOwn}, {containerdOwn, containerdOwn},
	} {
		t.Run(c.from.String()+" to "+c.to.String(), func(t *testing.T) {
			a := newScene(t, c.from)
			tmpl := a.template(t, runtime, parts.RepoOptions{})
			sha := tmpl.busybox(t, "RUN date +%s%N > /once", "CMD cat /once")
			path := a.prefix + "team"
			repository, prefix := path+"/workspace-template-hermes", d.host+"/"+path
			member := d.withLogin(t, a.user, depotPassword)

			r := member.succeed(t, "ensure", runtime, "--push", "--registry", prefix,
				"--format", "json")
			img := parseImage(t, r)
			pinned, latest := prefix+"/workspace-template-hermes:"+sha[:12],
				prefix+"/workspace-template-hermes:latest"
			if img.Reference != tmpl.reference(sha) || len(img.Pushed) != 2 ||
				img.Pushed[0].Reference != pinned || img.Pushed[1].Reference != latest {
				t.Fatalf("the receipt is %+v", img)
			}
			var config string
			for i, tag := range []string{sha[:12], "latest"} {
				digest, m := d.manifest(t, repository, tag)
				if digest == "" || digest != img.Pushed[i].Digest {
					t.Errorf("the registry has %q under %s, the receipt says %s", digest, tag,
						img.Pushed[i].Digest)
				}
				config = m.Config.Digest.String()
			}
			if img.ID != config && img.ID != img.Pushed[0].Digest {
				t.Errorf("pushed was %s with the config %s, not %s",
					img.Pushed[0].Digest, config, img.ID)
			}
			for _, name := range []string{pinned, latest} {
				if a.id(t, name) != "" {
					t.Errorf("%s is left in the image store", name)
				}
			}
			word := a.runContainer(t, img.ID)
			layers := a.layers(t, img.ID)
			for _, text := range []string{r.stdout, r.stderr} {
				if strings.Contains(text, depotPassword) {
					t.Errorf("the password is in %q", text)
				}
			}

			if c.from == c.to { // one engine: make it pull the image
				a.remove(t, img.ID, true)
			}
			b := newScene(t, c.to)
			there := d.withLogin(t, b.with("MOLECULE_IMAGE_REGISTRY", prefix, "BUILDKIT_HOST",
				"unix:///nowhere"), depotPassword)
			got := parseImage(t, there.run(t, "ensure", runtime, "--format", "json"))
			if got.Outcome != pinion.OutcomePulled || got.Reference != latest {
				t.Fatalf("got %+v", got)
			}
			if got.ID != config && got.ID != img.Pushed[0].Digest {
				t.Errorf("pulled was %s, pushed %s with the config %s", got.ID,
					img.Pushed[0].Digest, config)
			}
			if !slices.Equal(b.layers(t, latest), layers) || b.runContainer(t, latest) != word {
				t.Error("it is another image")
			}
		})
	}
}

// TestPushHits: what is there is pushed, and what the registry has already moves no layer.
func TestPushHits(t *testing.T) {
	d := newDepot(t)
	s := newScene(t, classicOwn)
	tmpl, old := s.prepare(t, "RUN echo old")
	prefix := d.host + "/" + s.prefix + "x"
	repository := s.prefix + "x/workspace-template-hermes"
	u := d.withLogin(t, s.user, depotPassword)
	push := func(args ...string) pinion.Image {
		t.Helper()
		return parseImage(t, u.succeed(t,
			append([]string{"ensure", runtime, "--push", "--registry", prefix, "--format", "json"},
				args...)...))
	}
	first := push()
	d.Reset()
	again := push()
	if again.Outcome != pinion.OutcomeHit || !slices.Equal(again.Pushed, first.Pushed) {
		t.Errorf("got %+v", again)
	}
	if n := d.Count("/blobs/uploads/"); n != 0 {
		t.Errorf("%d uploads for what is there", n)
	}

	// A commit by hand moves no latest, and a name that was there before is put back.
	head := tmpl.busybox(t, "RUN echo head")
	push()
	latest, _ := d.manifest(t, repository, "latest")
	mine := prefix + "/workspace-template-hermes:" + old[:12]
	s.tag(t, tmpl.reference(head), mine)
	if err := s.gitea.Settle(t.Context(), tmpl.repo); err != nil {
		t.Fatal(err)
	}
	byHand := push("--sha", old)
	if len(byHand.Pushed) != 1 || byHand.Pushed[0] != first.Pushed[0] {
		t.Errorf("got %+v", byHand.Pushed)
	}
	if now, _ := d.manifest(t, repository, "latest"); now != latest {
		t.Error("latest was moved")
	}
	if s.id(t, mine) != s.id(t, tmpl.reference(head)) {
		t.Error("the name that was there before names something else")
	}
	// Another platform stays apart.
	other := push("--platform", "linux/386")
	if !strings.HasSuffix(other.Pushed[0].Reference, head[:12]+"-linux-386") ||
		!strings.HasSuffix(other.Pushed[1].Reference, ":latest-linux-386") {
		t.Errorf("got %+v", other.Pushed)
	}
	if now, _ := d.manifest(t, repository, "latest"); now != latest {
		t.Error("latest was moved to another platform")
	}
}

// TestPushErrors: each kind has its exit code; what can be refused before the build is.
func TestPushErrors(t *testing.T) {
	d := newDepot(t)
	onCells(t, []cell{containerdOwn, classicOwn, oldOwn}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		s.prepare(t, "RUN echo pushed")
		prefix := d.host + "/" + s.prefix + "x"
		push := func(prefix string, more ...string) []string {
			return append([]string{"ensure", runtime, "--push", "--registry", prefix}, more...)
		}
		words := []string{prefix + "/workspace-template-hermes", "docker login"}
		s.fail(t, exitUnauthorized, words, push(prefix)...)
		r := d.withLogin(t, s.user, "wrong-password").fail(t, exitUnauthorized, words,
			push(prefix)...)
		if strings.Contains(r.stderr, "wrong-password") {
			t.Errorf("the password is in %q", r.stderr)
		}
		s.fail(t, exitUnreachable, []string{"127.0.0.1:1"}, push("127.0.0.1:1/x")...)
		for _, tag := range s.tags(t, runtime) {
			if !strings.HasPrefix(tag, "molecule-local/") {
				t.Errorf("%s is left in the image store", tag)
			}
		}
		s.reset()
		s.fail(t, exitUsage, []string{"--registry"}, "ensure", runtime, "--push")
		s.fail(t, exitUsage, []string{"--push"}, "ensure", runtime, "--registry", prefix)
		s.fail(t, exitUsage, []string{"no image reference"}, push("REGISTRY/X y")...)
		s.with("MOLECULE_IMAGE_REGISTRY", prefix).fail(t, exitUsage,
			[]string{"MOLECULE_IMAGE_REGISTRY"}, push(prefix)...)
		if n := len(s.git.Requests()) + len(s.engine.Requests()); n != 0 {
			t.Errorf("what was refused cost %d requests", n)
		}
	})
}

// TestPushedNameOfSomebodyElse: if another process moves the name to its image during the push, the
// name stays there, and the push fails.
func TestPushedNameOfSomebodyElse(t *testing.T) {
	d := newDepot(t)
	s := newScene(t, classicOwn)
	tmpl, _ := s.prepare(t, "RUN echo other")
	other := s.ensure(t, pinion.OutcomeBuilt)
	sha := tmpl.busybox(t, "RUN echo pushed")
	path := s.prefix + "moved"
	ref := d.host + "/" + path + "/workspace-template-hermes:" + sha[:12]
	s.engine.SetHook(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/distribution/") { // the push itself is done
			s.tag(t, other.ID, ref)
		}
		return false
	})
	r := d.withLogin(t, s.user, depotPassword).run(t, "ensure", runtime, "--push", "--registry",
		d.host+"/"+path)
	if r.code != exitStore || !strings.Contains(r.stderr, "another process moved the name") {
		t.Errorf("exit code %d\n%s", r.code, r.stderr)
	}
	if got := s.id(t, ref); got != other.ID {
		t.Errorf("the name leads to %q, not to %s", got, other.ID)
	}
}

// TestPushShowsItsBytes while it sends a layer.
func TestPushShowsItsBytes(t *testing.T) {
	d := newDepot(t)
	onCells(t, []cell{containerdOwn, classicOwn, oldOwn}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		s.prepare(t, "RUN dd if=/dev/urandom of=/noise bs=1M count=100")
		u := d.withLogin(t, s.user, depotPassword)
		sent := int64(0)
		_, err := u.try(t, pinion.PushTo(d.host+"/"+s.prefix+"x"), pinion.OnEvent(
			func(e pinion.Event) {
				if e.Type == pinion.EventPushing {
					sent = max(sent, e.Bytes)
				}
			}))
		if err != nil {
			t.Fatal(err)
		}
		if sent == 0 { // one of 4 MB may be over before the engine says anything
			t.Error("no bytes were shown of 100 MB")
		}
	})
}
