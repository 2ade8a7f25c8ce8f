package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion"
)

func TestEnsureWritesFiles(t *testing.T) {
	dir := t.TempDir()
	iid, meta := filepath.Join(dir, "iid"), filepath.Join(dir, "meta.json")
	got := call(t.Context(), twoGood(), "ensure", "one", "--iidfile", iid, "--metadata-file", meta)
	if got.code != 0 {
		t.Fatalf("got %+v", got)
	}
	want(t, iid, "sha256:one")
	want(t, meta,
		"{\n  \"containerimage.digest\": \"sha256:one\",\n  \"image.name\": \""+image(
			"one",
		).Reference+"\"\n}")

	if got := call(t.Context(), twoGood(), "ensure", "two", "one", "--metadata-file",
		meta); got.code != 0 {
		t.Fatalf("got %+v", got)
	}
	text, err := os.ReadFile(meta)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "metadata-several.json", string(text))
	onlyFiles(t, dir, "iid", "meta.json")
}

func TestMetadataOfABuild(t *testing.T) {
	f, meta := twoGood(), filepath.Join(t.TempDir(), "meta.json")
	img := image("one")
	img.ConfigDigest, img.ManifestDigest, img.BuildRef = "sha256:config", "sha256:manifest",
		"team/team0/ref"
	img.Descriptor = &ocispecs.Descriptor{MediaType: ocispecs.MediaTypeImageManifest,
		Digest: "sha256:manifest", Size: 855}
	f.results["one"] = result{image: img}
	if got := call(t.Context(), f, "ensure", "one", "--metadata-file", meta); got.code != 0 {
		t.Fatalf("got %+v", got)
	}
	text, err := os.ReadFile(meta)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "metadata-build.json", string(text))
}

func TestEnsureWritesFilesOnlyOnSuccess(t *testing.T) {
	dir := t.TempDir()
	iid, meta := filepath.Join(dir, "iid"), filepath.Join(dir, "meta.json")
	for _, path := range []string{iid, meta} {
		if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := twoGood()
	f.results["one"] = failed("one", pinion.OriginBuildKit, pinion.ErrBuild)
	if got := call(t.Context(), f, "ensure", "one", "--iidfile", iid, "--metadata-file",
		meta); got.code != 20 {
		t.Fatalf("got %+v", got)
	}
	// Like buildx: no old image ID survives a failed build.
	onlyFiles(t, dir, "meta.json")
	want(t, meta, "old")
}

func TestEnsureFindsUnwritableFilesFirst(t *testing.T) {
	dir := t.TempDir()
	for _, flag := range []string{"--iidfile", "--metadata-file"} {
		for _, path := range []string{dir, filepath.Join(dir, "no", "such")} {
			f := twoGood()
			got := call(t.Context(), f, "ensure", "one", flag, path)
			if got.code != 64 || !strings.Contains(got.stderr, flag) || len(f.requested) != 0 {
				t.Errorf("%s %s: got %+v, asked %v", flag, path, got, f.requested)
			}
		}
	}
	onlyFiles(t, dir)
}

func TestEnsureWritesThroughLinksAndDevices(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	if err := os.WriteFile(target, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	got := call(t.Context(), twoGood(), "ensure", "one", "--metadata-file", link,
		"--iidfile", os.DevNull)
	if got.code != 0 {
		t.Fatalf("got %+v", got)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v", err)
	}
	if text, _ := os.ReadFile(target); !strings.Contains(string(text), "sha256:one") {
		t.Errorf("target holds %q", text)
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Errorf("%s: %v, %v", os.DevNull, info, err)
	}
}

func want(t *testing.T, path, text string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != text {
		t.Errorf("%s holds %q (%v), want %q", path, got, err, text)
	}
}

func onlyFiles(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(names, " ") {
		t.Errorf("%s holds %v, want %v", dir, got, names)
	}
}
