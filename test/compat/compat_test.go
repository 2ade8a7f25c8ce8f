package compat

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cache"
)

const (
	host     = "git.pinion.test"
	revision = "3f7e9e91e207b0c83389b741edad31c7a80f8986"
	name     = "molecule-local/workspace-template-own:3f7e9e91e207"
)

// TestHitsOfAnEarlierVersion requests the images of testdata. There is neither a builder nor an
// engine, so anything but a hit fails.
func TestHitsOfAnEarlierVersion(t *testing.T) {
	t.Setenv("HTTP_PROXY", serveHead(t)) // no other test of the package may send a request before
	o := open(t)
	for _, test := range []struct {
		reference, id string
		options       []pinion.EnsureOption
	}{
		{name, "sha256:e41818bdc8b42f79b6348e09d7a9d34f44a9d474c3d02a423800dc956c3dc2bd", nil},
		{name + ".9864995f4f7a.provenance-min",
			"sha256:a544ff8ba35496b5b0f1cce9de0bd9010d073ba62296cb9cb47cf13718183300",
			[]pinion.EnsureOption{pinion.Label("org.example.team", "one"),
				pinion.Attest("type=provenance,mode=min")}},
	} {
		img, err := o.Ensure(t.Context(), "own", test.options...)
		if err != nil {
			t.Errorf("%s: %v", test.reference, err)
			continue
		}
		if img.Outcome != pinion.OutcomeHit || img.Reference != test.reference ||
			img.ID != test.id || img.Revision.String() != revision {
			t.Errorf("%s %s is not a hit: %+v", test.reference, test.id, img)
		}
	}
	built, err := o.List(t.Context())
	if err != nil || len(built) != 2 {
		t.Errorf("the list has %+v, %v", built, err)
	}
}

// TestRecordsAreWrittenAlike reads the fixture's records and writes them again.
func TestRecordsAreWrittenAlike(t *testing.T) {
	dir := t.TempDir()
	placeRecords(t, dir, "oci:///images")
	before := contents(t, dir)
	d, err := cache.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	records, err := d.All()
	if err != nil || len(records) != 2 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	for _, rec := range records {
		if err := d.Forget(rec); err != nil {
			t.Fatal(err)
		}
		if err := d.Put(rec); err != nil {
			t.Fatal(err)
		}
	}
	if after := contents(t, dir); !maps.Equal(before, after) {
		t.Errorf("the records were\n%s\nand are\n%s", before, after)
	}
}

// contents returns the files below the folder of records, by path.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "records", "*", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		out[file] = string(body)
	}
	return out
}

// open makes an orchestrator of copies of the fixture.
func open(t *testing.T) *pinion.Orchestrator {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	layout, records := filepath.Join(dir, "layout"), filepath.Join(dir, "cache")
	if err := os.CopyFS(layout, os.DirFS(filepath.Join("testdata", "layout"))); err != nil {
		t.Fatal(err)
	}
	placeRecords(t, records, "oci://"+filepath.ToSlash(layout))
	config := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(config, []byte("templates:\n- name: own\n  repo: http://"+host+
		"/template-own\n  allow_insecure_http: true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{
		"HOME": dir, "MOLECULE_LOCAL_BUILD_CACHE": records, "PINION_STORE": "oci:" + layout,
		"PINION_CONFIG": config, "PINION_CACHE": "off",
		"BUILDKIT_HOST": "unix://" + filepath.ToSlash(filepath.Join(dir, "no-builder.sock")),
	}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	o, err := pinion.New(pinion.OptionsFromEnv(lookup), pinion.WithPlatform("linux/amd64"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return o
}

// placeRecords writes the fixture's records as the earlier version filed those of a store:
// records/<line>/<first half of the SHA-256 of the store's address, in hex>/<key>-oci.json.
func placeRecords(t *testing.T, cacheDir, store string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "records", "*", "*.json"))
	if err != nil || len(files) != 2 {
		t.Fatalf("the fixture has the records %q, %v", files, err)
	}
	sum := sha256.Sum256([]byte(store))
	for _, file := range files {
		record, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		line := filepath.Base(filepath.Dir(file))
		dir := filepath.Join(cacheDir, "records", line, hex.EncodeToString(sum[:16]))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		record = bytes.ReplaceAll(record, []byte("oci://LAYOUT"), []byte(store))
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), record, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// serveHead starts a proxy behind which the fixture's git server is, and returns its address. The
// server answers the one question of a hit, ls-refs of protocol version 2 (gitprotocol-v2(5)), and
// refuses others. A proxy gives the server a name that is the same on every machine: keys depend on
// it.
func serveHead(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if r.Host != host || !strings.HasSuffix(r.URL.Path, "/git-upload-pack") || err != nil ||
			!bytes.Contains(body, []byte("command=ls-refs")) {
			t.Errorf("the git server was asked %s %s: %q, %v", r.Method, r.URL, body, err)
			http.Error(w, "only ls-refs is answered", http.StatusForbidden)
			return
		}
		head := revision + " HEAD symref-target:refs/heads/main\n"
		w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
		_, _ = fmt.Fprintf(w, "%04x%s0000", len(head)+4, head)
	}))
	t.Cleanup(server.Close)
	return server.URL
}
