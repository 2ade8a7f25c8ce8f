package storetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// platform is the one of the suite's images unless they say otherwise.
const platform = "linux/amd64"

// Run checks that a store behaves as its kind should. The store may hold other
// images; the suite removes its own.
func Run(t *testing.T, store imagestore.Store, kind imagestore.Kind) {
	s := suite{store, kind}
	for _, c := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"info", s.info},
		{"missing image", s.missing},
		{"load and inspect", s.loadAndInspect},
		{"load without a platform", s.loadWithoutPlatform},
		{"platforms in normal form", s.platforms},
		{"list by label", s.list},
		{"untag", s.untag},
		{"untag refuses what is no name", s.untagRefuses},
		{"remove", s.remove},
		{"tag refuses what is no ID", s.tagRefuses},
		{"fault 35: the ID outlives a moved tag", s.movedTag},
		{"fault 40: a layer is missing", s.missingLayer},
		{"fault 40: the archive breaks off", s.truncated},
		{"fault 42: tag again by ID", s.tagByID},
		{"the archive's reader fails", s.failingReader},
		{"cancelled load", s.cancelled},
		{"side by side", s.concurrent},
	} {
		t.Run(c.name, c.run)
	}
}

type suite struct {
	store imagestore.Store
	kind  imagestore.Kind
}

func (s suite) info(t *testing.T) {
	info, err := s.store.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info.Kind != s.kind || info.OSType != "linux" || info.Version == "" ||
		!strings.HasPrefix(info.Platform, "linux/") {
		t.Errorf("info = %+v, want kind %s on linux", info, s.kind)
	}
	if (info.APIVersion != "") != (s.kind != imagestore.KindOCI) {
		t.Errorf("API version %q of kind %s", info.APIVersion, s.kind)
	}
	if strings.Contains(info.Platform, "x86_64") || strings.Contains(info.Platform, "aarch64") {
		t.Errorf("platform %s is the kernel's name for the machine", info.Platform)
	}
}

func (s suite) missing(t *testing.T) {
	tag := name(t, "missing")
	_, err := s.store.Inspect(t.Context(), tag)
	wantError(t, err, imagestore.ErrNotFound)
	wantError(t, s.store.Untag(t.Context(), tag), imagestore.ErrNotFound)
	wantError(t, s.store.Tag(t.Context(), "sha256:"+strings.Repeat("ab", 32), tag),
		imagestore.ErrNotFound)
}

func (s suite) loadAndInspect(t *testing.T) {
	spec := Spec{Tag: name(t, "one"), Labels: map[string]string{"org.example.a": "1",
		"org.example.b": ""}, Content: t.Name()}
	archive := s.load(t, spec)
	for _, ref := range []string{spec.Tag, archive.ID(s.kind)} {
		img := s.inspect(t, ref)
		if img.ID != archive.ID(s.kind) || img.Platform != platform ||
			!img.Created.Equal(Created) || img.Size <= 0 {
			t.Errorf("inspect %s = %+v, want ID %s", ref, img, archive.ID(s.kind))
		}
		if !maps.Equal(img.Labels, spec.Labels) || !slices.Equal(img.Tags, []string{spec.Tag}) {
			t.Errorf("inspect %s: labels %v and tags %v, want %v and %s", ref, img.Labels, img.Tags,
				spec.Labels, spec.Tag)
		}
	}
}

func (s suite) loadWithoutPlatform(t *testing.T) {
	archive := Build(Spec{Tag: name(t, "one"), Content: t.Name()})
	s.cleanUp(t, name(t, "one"))
	if err := s.store.Load(t.Context(), bytes.NewReader(archive.Tar), ""); err != nil {
		t.Fatal(err)
	}
	if img := s.inspect(t, name(t, "one")); img.ID != archive.ID(s.kind) {
		t.Errorf("ID %s, want %s", img.ID, archive.ID(s.kind))
	}
}

func (s suite) platforms(t *testing.T) {
	for _, c := range []struct{ arch, variant, want string }{
		{"arm64", "v8", "linux/arm64"},
		{"arm64", "", "linux/arm64"},
		{"arm", "v7", "linux/arm/v7"},
	} {
		spec := Spec{Tag: name(t, c.arch+c.variant), Content: t.Name(), Architecture: c.arch,
			Variant: c.variant}
		s.cleanUp(t, spec.Tag)
		if err := s.store.Load(t.Context(), bytes.NewReader(Build(spec).Tar), c.want); err != nil {
			t.Fatal(err)
		}
		if img := s.inspect(t, spec.Tag); img.Platform != c.want {
			t.Errorf("%s %s: platform %s, want %s", c.arch, c.variant, img.Platform, c.want)
		}
	}
}

func (s suite) list(t *testing.T) {
	labelled := s.load(t, Spec{Tag: name(t, "with"),
		Labels: map[string]string{"org.example.list": "yes"}, Content: "with"})
	s.load(t, Spec{Tag: name(t, "without"), Labels: map[string]string{"org.example.other": "yes"},
		Content: "without"})
	images, err := s.store.List(t.Context(), "org.example.list")
	if err != nil {
		t.Fatal(err)
	}
	if len(images) != 1 {
		t.Fatalf("list = %+v, want one image", images)
	}
	if img := images[0]; img.ID != labelled.ID(s.kind) ||
		!slices.Equal(img.Tags, []string{name(t, "with")}) ||
		img.Labels["org.example.list"] != "yes" || !img.Created.Equal(Created) || img.Size <= 0 {
		t.Errorf("list = %+v", img)
	}
}

func (s suite) untag(t *testing.T) {
	first, second := name(t, "first"), name(t, "second")
	id := s.load(t, Spec{Tag: first, Content: t.Name()}).ID(s.kind)
	s.tag(t, id, second)
	if err := s.store.Untag(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if img := s.inspect(t, second); img.ID != id || !slices.Equal(img.Tags, []string{second}) {
		t.Errorf("after untagging one name: %+v", img)
	}
	if err := s.store.Untag(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{first, second, id} {
		_, err := s.store.Inspect(t.Context(), ref)
		wantError(t, err, imagestore.ErrNotFound)
	}
}

func (s suite) untagRefuses(t *testing.T) {
	id := s.load(t, Spec{Tag: name(t, "one"), Content: t.Name()}).ID(s.kind)
	hex := strings.TrimPrefix(id, "sha256:")
	for _, ref := range []string{"", id, hex, hex[:12], "name-without-tag", "name@" + id,
		"UPPER:tag"} {
		if err := s.store.Untag(t.Context(), ref); err == nil {
			t.Errorf("untag accepted %q", ref)
		}
	}
	s.inspect(t, name(t, "one"))
}

func (s suite) remove(t *testing.T) {
	engine, ok := s.store.(imagestore.Remover)
	if !ok {
		t.Skip("in this store no image is without a name")
	}
	tag := name(t, "moving")
	before := s.load(t, Spec{Tag: tag, Content: t.Name() + "before"}).ID(s.kind)
	for _, ref := range []string{before, "", tag, strings.TrimPrefix(before, "sha256:")} {
		if err := engine.Remove(t.Context(), ref); err == nil {
			t.Errorf("remove accepted %q", ref)
		}
	}
	after := s.load(t, Spec{Tag: tag, Content: t.Name() + "after"}).ID(s.kind)
	if img := s.inspect(t, before); len(img.Tags) != 0 {
		t.Errorf("the image without a name: %+v", img)
	}
	if err := engine.Remove(t.Context(), before); err != nil {
		t.Error(err)
	}
	_, err := s.store.Inspect(t.Context(), before)
	wantError(t, err, imagestore.ErrNotFound)
	wantError(t, engine.Remove(t.Context(), before), imagestore.ErrNotFound)
	if img := s.inspect(t, tag); img.ID != after {
		t.Errorf("the tag names %s, want %s", img.ID, after)
	}
}

func (s suite) tagRefuses(t *testing.T) {
	s.load(t, Spec{Tag: name(t, "one"), Content: t.Name()})
	for _, id := range []string{"", name(t, "one"), "sha256:abc"} {
		if err := s.store.Tag(t.Context(), id, name(t, "two")); err == nil {
			t.Errorf("tag accepted %q for an ID", id)
		}
	}
}

func (s suite) movedTag(t *testing.T) {
	tag := name(t, "moving")
	before := s.load(t, Spec{Tag: tag, Content: "before"}).ID(s.kind)
	s.tag(t, before, name(t, "anchor")) // keeps the image in the store
	after := s.load(t, Spec{Tag: tag, Content: "after"}).ID(s.kind)
	if img := s.inspect(t, tag); img.ID != after {
		t.Errorf("the tag names %s, want %s", img.ID, after)
	}
	if img := s.inspect(t, before); img.ID != before {
		t.Errorf("the ID names %s, want %s", img.ID, before)
	}
}

func (s suite) missingLayer(t *testing.T) {
	for _, p := range []string{platform, ""} {
		tag := name(t, "partial"+strings.ReplaceAll(p, "/", "-"))
		s.cleanUp(t, tag)
		archive := Build(Spec{Tag: tag, Content: t.Name() + p, WithoutLayer: true})
		err := s.store.Load(t.Context(), bytes.NewReader(archive.Tar), p)
		wantError(t, err, nil)
		if errors.Is(err, imagestore.ErrUnavailable) {
			t.Errorf("platform %q: %v: the engine is there", p, err)
		}
	}
}

func (s suite) truncated(t *testing.T) {
	tag := name(t, "truncated")
	archive := Build(Spec{Tag: tag, Content: strings.Repeat(t.Name(), 10_000)})
	err := s.store.Load(t.Context(), bytes.NewReader(archive.Tar[:len(archive.Tar)/2]), platform)
	wantError(t, err, nil)
	_, err = s.store.Inspect(t.Context(), tag)
	wantError(t, err, imagestore.ErrNotFound)
}

func (s suite) tagByID(t *testing.T) {
	// As if tagging had failed: the image has only a temporary name.
	id := s.load(t, Spec{Tag: name(t, "temporary"), Content: t.Name()}).ID(s.kind)
	s.tag(t, id, name(t, "wanted"))
	s.tag(t, id, name(t, "wanted")) // again is no error
	if img := s.inspect(t, name(t, "wanted")); img.ID != id {
		t.Errorf("ID %s, want %s", img.ID, id)
	}
}

func (s suite) failingReader(t *testing.T) {
	broken := errors.New("the builder went away")
	archive := Build(Spec{Tag: name(t, "one"), Content: t.Name()})
	reader := io.MultiReader(bytes.NewReader(archive.Tar[:1000]), iotest.ErrReader(broken))
	err := s.store.Load(t.Context(), reader, platform)
	wantError(t, err, broken)
	if errors.Is(err, imagestore.ErrUnavailable) {
		t.Errorf("%v: it was not the engine that failed", err)
	}
}

func (s suite) cancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	archive := Build(Spec{Tag: name(t, "one"), Content: t.Name()})
	reader, writer := io.Pipe()
	defer reader.Close()
	go func() {
		_, _ = writer.Write(archive.Tar[:1000])
		cancel()
	}()
	err := s.store.Load(ctx, reader, platform)
	wantError(t, err, context.Canceled)
	if errors.Is(err, imagestore.ErrUnavailable) {
		t.Errorf("%v: the engine is there", err)
	}
}

func (s suite) concurrent(t *testing.T) {
	var wg sync.WaitGroup
	for _, n := range []string{"a", "b", "c", "d"} {
		wg.Go(func() {
			archive := Build(Spec{Tag: name(t, n), Content: t.Name() + n})
			s.cleanUp(t, name(t, n))
			if err := s.store.Load(t.Context(), bytes.NewReader(archive.Tar),
				platform); err != nil {
				t.Error(err)
				return
			}
			if img, err := s.store.Inspect(t.Context(), name(t, n)); err != nil ||
				img.ID != archive.ID(s.kind) {
				t.Errorf("%s: %+v, %v", n, img, err)
			}
		})
	}
	wg.Wait()
}
