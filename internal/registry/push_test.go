package registry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/registry"
)

const kib = 1 << 10

// image returns the content of an image with one layer. Each read of the layer goes through source.
func image(t *testing.T, layer []byte, source func([]byte) io.Reader) registry.Content {
	t.Helper()
	config := []byte(`{"os":"linux","config":{"Labels":{"content":"` +
		digest.FromBytes(layer).Encoded() + `"}},"rootfs":{"type":"layers"}}`)
	blob := func(kind string, b []byte) ocispec.Descriptor {
		return ocispec.Descriptor{MediaType: kind, Digest: digest.FromBytes(b),
			Size: int64(len(b))}
	}
	m, err := json.Marshal(ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    blob(ocispec.MediaTypeImageConfig, config),
		Layers:    []ocispec.Descriptor{blob(ocispec.MediaTypeImageLayer, layer)}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := registry.NewContent(blob(ocispec.MediaTypeImageManifest, m),
		func(ocispec.Descriptor) ([]byte, error) { return m, nil })
	if err != nil {
		t.Fatal(err)
	}
	c.Each = func(_ context.Context, wanted map[digest.Digest]bool,
		send func(ocispec.Descriptor, io.Reader) error,
	) error {
		for _, d := range c.Blobs {
			from := io.Reader(bytes.NewReader(config))
			if d.MediaType == ocispec.MediaTypeImageLayer {
				from = source(layer)
			}
			if wanted[d.Digest] {
				if err := send(d, from); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return c
}

func plain(b []byte) io.Reader { return bytes.NewReader(b) }

func push(
	t *testing.T, f *fake, c registry.Content, progress func(imagestore.Progress),
) (digest.Digest, error) {
	t.Helper()
	r, err := registry.Open(f.host+"/team/x:1", registry.Login{Host: f.host},
		registry.WithPiece(1024*kib))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	return r.Push(t.Context(), c, progress)
}

// TestPushInPieces: whatever a registry and a proxy before it are like, it has the blob in the end.
func TestPushInPieces(t *testing.T) {
	type hook = func(http.ResponseWriter, *http.Request, []byte) bool
	// nth makes the nth request of a method fail.
	nth := func(method string, n int, fail func(http.ResponseWriter)) hook {
		return func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
			if r.Method == method {
				if n--; n == 0 {
					fail(w)
					return true
				}
			}
			return false
		}
	}
	busy := func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) }
	cut := func(http.ResponseWriter) { panic(http.ErrAbortHandler) }
	unknown := func(w http.ResponseWriter) {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN","message":"no"}]}`)
	}
	noBlobs := func(status int) hook {
		return func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
			asks := r.Method == http.MethodHead && strings.Contains(r.URL.Path, "/blobs/")
			if asks {
				w.WriteHeader(status)
			}
			return asks
		}
	}
	for _, c := range []struct {
		name    string
		size    int
		hook    func(*fake) hook
		min     int
		patches int // at most
		largest int
	}{
		{name: "small", size: 10, largest: 1024 * kib},
		{name: "empty", size: 0, largest: 1024 * kib},
		{name: "one piece", size: 1024 * kib, largest: 1024 * kib},
		{name: "pieces", size: 2500 * kib, patches: 3, largest: 1024 * kib},
		{name: "a limit", size: 2500 * kib, patches: 12, largest: 300 * kib,
			hook: func(*fake) hook { return limit(300 * kib) }},
		{name: "a limit for one piece", size: 600 * kib, patches: 3, largest: 512 * kib,
			hook: func(*fake) hook { return limit(512 * kib) }},
		{name: "a minimum", size: 2500 * kib, min: 2000 * kib, patches: 2, largest: 2000 * kib},
		{name: "busy", size: 2500 * kib, patches: 4, largest: 1024 * kib,
			hook: func(*fake) hook { return nth(http.MethodPatch, 2, busy) }},
		{name: "busy at the end", size: 2500 * kib, patches: 3, largest: 1024 * kib,
			hook: func(*fake) hook { return nth(http.MethodPut, 2, busy) }},
		{name: "cut off", size: 2500 * kib, patches: 6, largest: 1024 * kib,
			hook: func(*fake) hook { return nth(http.MethodPatch, 2, cut) }},
		{name: "an answer lost", size: 2500 * kib, patches: 6, largest: 1024 * kib,
			hook: func(f *fake) hook {
				taken := false
				return func(_ http.ResponseWriter, r *http.Request, body []byte) bool {
					if r.Method == http.MethodPatch && !taken {
						taken = true
						id := strings.TrimPrefix(r.URL.Path, "/v2/team/x/blobs/uploads/")
						f.uploads[id] = append(f.uploads[id], body[:1000]...)
						panic(http.ErrAbortHandler)
					}
					return false
				}
			}},
		{name: "an upload lost", size: 2500 * kib, patches: 6, largest: 1024 * kib,
			hook: func(f *fake) hook {
				return nth(http.MethodPatch, 2, func(w http.ResponseWriter) {
					clear(f.uploads)
					busy(w)
				})
			}},
		{name: "an upload unknown", size: 10, largest: 1024 * kib,
			hook: func(*fake) hook { return nth(http.MethodPut, 1, unknown) }},
		{name: "an upload unknown at its first piece", size: 2500 * kib, patches: 4,
			largest: 1024 * kib,
			hook:    func(*fake) hook { return nth(http.MethodPatch, 1, unknown) }},
		{name: "blobs that are not shown", size: 10, largest: 1024 * kib,
			hook: func(*fake) hook { return noBlobs(http.StatusForbidden) }},
		{name: "no word on blobs", size: 10, largest: 1024 * kib,
			hook: func(*fake) hook { return noBlobs(http.StatusMethodNotAllowed) }},
		{name: "no pieces", size: 2500 * kib, patches: 1, largest: 2500 * kib,
			hook: func(*fake) hook {
				return func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
					if r.Method == http.MethodPatch {
						w.WriteHeader(http.StatusMethodNotAllowed)
						return true
					}
					return false
				}
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			if f.minLength = c.min; c.hook != nil {
				f.hook = c.hook(f)
			}
			layer := content(c.size)
			img := image(t, layer, plain)
			var sent atomic.Int64
			got, err := push(t, f, img, func(p imagestore.Progress) { sent.Store(p.Bytes) })
			if err != nil || got != img.Root().Digest {
				t.Fatalf("%s, %v", got, err)
			}
			if !bytes.Equal(f.blobs[digest.FromBytes(layer)], layer) {
				t.Error("the registry has another blob")
			}
			if n := f.count(http.MethodPatch); n > c.patches || c.patches > 0 && n == 0 {
				t.Errorf("%d pieces, want %d", n, c.patches)
			}
			if c.name != "a limit" && c.name != "a limit for one piece" && f.largest > c.largest {
				t.Errorf("a body of %d bytes", f.largest)
			}
			if sent.Load() < int64(c.size) {
				t.Errorf("%d bytes were reported of %d", sent.Load(), c.size)
			}
			before := len(f.requests)
			if again, err := push(t, f, img, nil); err != nil || again != got ||
				len(f.requests) != before {
				t.Errorf("again: %s, %v, %q", again, err, f.requests[before:])
			}
		})
	}
}

// TestPushFailures have the class of the side that failed.
func TestPushFailures(t *testing.T) {
	always := func(method, part string, status int, body string) func(
		http.ResponseWriter, *http.Request, []byte) bool {
		return func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
			if r.Method != method || !strings.Contains(r.URL.Path, part) {
				return false
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
			return true
		}
	}
	const neverKnown = "an upload that is never known"
	denied := `{"errors":[{"code":"DENIED","message":"requested access is denied"}]}`
	for _, c := range []struct {
		name      string
		hook      func(http.ResponseWriter, *http.Request, []byte) bool
		want      error
		situation errdef.Situation
	}{
		{"denied", always("POST", "/uploads/", 403, denied), imagestore.ErrUnauthorized,
			errdef.RegistryUnauthorized},
		{"no login", always("POST", "/uploads/", 401, ""), imagestore.ErrUnauthorized,
			errdef.RegistryUnauthorized},
		{"no repository", always("POST", "/uploads/", 404,
			`{"errors":[{"code":"NAME_UNKNOWN","message":"no"}]}`), imagestore.ErrNotFound,
			errdef.RegistryImageMissing},
		{"a limit too small", limit(10), nil, errdef.RegistryBodyLimit},
		{"a quota", always("PUT", "/uploads/", 403,
			`{"errors":[{"code":"DENIED","message":"storage quota exceeded"}]}`), nil, ""},
		{"a blob that the registry has lost", always("PUT", "/manifests/1", 404,
			`{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry"}]}`),
			nil, ""},
		{neverKnown, always("PUT", "/uploads/", 404,
			`{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN","message":"no"}]}`), nil, ""},
		{"a fixed tag", always("PUT", "/manifests/1", 409, "the tag is immutable"),
			imagestore.ErrTagFixed, errdef.RegistryTagFixed},
	} {
		t.Run(c.name, func(t *testing.T) {
			if testing.Short() && c.name == neverKnown {
				t.Skip("it is tried again for half a minute")
			}
			t.Parallel()
			f := newFake(t)
			f.hook = c.hook
			_, err := push(t, f, image(t, content(1500*kib), plain), nil)
			at, ok := errors.AsType[*imagestore.Error](err)
			if !ok || at.Origin != imagestore.OriginRegistry {
				t.Fatalf("error %v", err)
			}
			for _, kind := range []error{imagestore.ErrUnauthorized, imagestore.ErrNotFound,
				imagestore.ErrUnavailable, imagestore.ErrTagFixed} {
				if errors.Is(err, kind) != errors.Is(c.want, kind) {
					t.Errorf("error %v, want %v", err, c.want)
				}
			}
			if s, _ := errdef.SituationOf(err); s != c.situation {
				t.Errorf("situation %q: %v", s, err)
			}
			if len(f.manifests) != 0 {
				t.Errorf("there is a manifest without its parts")
			}
		})
	}
}

// TestPushOfABrokenBlob is no failure of the registry, and leaves no name.
func TestPushOfABrokenBlob(t *testing.T) {
	for name, spoil := range map[string]func([]byte) io.Reader{
		"other": func(b []byte) io.Reader { return bytes.NewReader(bytes.ToUpper(b)) },
		"short": func(b []byte) io.Reader { return bytes.NewReader(b[:len(b)-1]) },
		"long":  func(b []byte) io.Reader { return bytes.NewReader(append(b[:len(b):len(b)], 0)) },
	} {
		f := newFake(t)
		layer := []byte(strings.Repeat("layer ", 300*kib))
		_, err := push(t, f, image(t, layer, spoil), nil)
		if _, ok := errors.AsType[*imagestore.Error](err); ok || err == nil {
			if name != "long" { // what follows the blob is not read
				t.Errorf("%s: error %v", name, err)
			}
		}
		if name != "long" && len(f.manifests) != 0 {
			t.Errorf("%s: it has a name", name)
		}
	}
}

// TestPushToATakenName: a name that is fixed and stands for another image is that, and one that
// stands for this image is none.
func TestPushToATakenName(t *testing.T) {
	f := newFake(t)
	one, two := image(t, []byte("one"), plain), image(t, []byte("two"), plain)
	if _, err := push(t, f, one, nil); err != nil {
		t.Fatal(err)
	}
	for status, isTaken := range map[int]bool{http.StatusConflict: true,
		http.StatusForbidden: true, http.StatusNotImplemented: false,
		http.StatusUnauthorized: false} {
		f.hook = func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
			if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/1") {
				w.WriteHeader(status)
				return true
			}
			return false
		}
		_, err := push(t, f, two, nil)
		taken, ok := errors.AsType[*imagestore.TakenError](err)
		if ok != isTaken || err == nil {
			t.Errorf("%d: error %v", status, err)
		}
		if ok && (taken.Digest != one.Root().Digest.String() || taken.Labels["content"] !=
			digest.FromString("one").Encoded()) {
			t.Errorf("%d: taken by %+v", status, taken)
		}
		if got, err := push(t, f, one, nil); err != nil || got != one.Root().Digest {
			t.Errorf("%d: the same image: %s, %v", status, got, err)
		}
	}
}
