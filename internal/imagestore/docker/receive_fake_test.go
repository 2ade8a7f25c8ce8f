package docker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
)

const (
	create = "POST /images/create"
	ref    = "molecule-local/x:unverified"
)

// largerThanBuffers does not fit between the registry and a reader that has stopped.
var largerThanBuffers = strings.Repeat("0123456789abcdef", 1<<20)

func newFakeReceiver(t *testing.T, kind imagestore.Kind, api string) (*receiver, *storetest.Fake) {
	fake := storetest.StartFake(t, kind, api)
	return &receiver{Engine: dial(t, fake.Host(), nil), kind: kind}, fake
}

func TestReceiveFake(t *testing.T) {
	for _, c := range []struct {
		kind imagestore.Kind
		api  string
		via  buildkit.Via
	}{
		{imagestore.KindContainerd, "1.52", buildkit.ViaPull},
		// it cannot tell whether a pulled image is whole
		{imagestore.KindContainerd, "1.47", buildkit.ViaLoad},
		{imagestore.KindClassic, "1.52", buildkit.ViaLoad},
	} {
		t.Run(string(c.kind)+" "+c.api, func(t *testing.T) {
			r, fake := newFakeReceiver(t, c.kind, c.api)
			got := r.receive(t, "molecule-local/x:1",
				storetest.NewLayered(t, "base", "middle", "top"))
			if got.Via != c.via || got.LayersSent != 3 || got.Reason != "" {
				t.Errorf("%+v", got)
			}
			if slices.Contains(fake.Requests(), create) != (c.via == buildkit.ViaPull) {
				t.Errorf("the engine was asked %q", fake.Requests())
			}
		})
	}
	r, _ := newFakeReceiver(t, imagestore.KindContainerd, "1.52")
	r.testDelta(t, buildkit.ViaPull)
	r.testBrokenSource(t)
}

// refuseDial answers like an engine that cannot connect to the address.
func refuseDial(w http.ResponseWriter, r *http.Request) {
	text := fmt.Sprintf("dial %s: connect: connection refused; the password is %s",
		r.URL.Query().Get("fromImage"), password(r))
	_, _ = fmt.Fprintf(w, `{"errorDetail":{"message":%q},"error":%q}`, text, text)
}

func password(r *http.Request) string {
	auth, err := authconfig.Decode(r.Header.Get("X-Registry-Auth"))
	if err != nil {
		return "?"
	}
	return auth.Password
}

// silent takes the request and does nothing with it.
func silent(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// talkative says the same thing again and again.
func talkative(w http.ResponseWriter, r *http.Request) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for r.Context().Err() == nil {
		_, _ = io.WriteString(w, `{"status":"Waiting","id":"0123456789ab"}`)
		_ = http.NewResponseController(w).Flush()
		<-tick.C
	}
}

// halfway begins to read a layer and then stops.
func halfway(l *storetest.Layered) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		resp, err := registryGet(r, http.MethodGet, "/blobs/"+l.Digests[0], password(r))
		if err == nil {
			defer resp.Body.Close()
			_, _ = io.ReadFull(resp.Body, make([]byte, 1000))
		}
		<-r.Context().Done()
	}
}

// TestReceiveLoadsWhatCannotBePulled: however a pull goes wrong, the image comes by a load, and
// nothing of the pull is left.
func TestReceiveLoadsWhatCannotBePulled(t *testing.T) {
	small, large := storetest.NewLayered(t, "base", "top"),
		storetest.NewLayered(t, largerThanBuffers, "top")
	for name, c := range map[string]struct {
		image *storetest.Layered
		pull  http.HandlerFunc
		why   string
	}{
		"out of reach":         {small, refuseDial, "connection refused"},
		"silent":               {small, silent, "nothing moved"},
		"says nothing new":     {small, talkative, "nothing moved"},
		"stops within a layer": {large, halfway(large), "nothing moved"},
		"claims to have it": {small, func(http.ResponseWriter, *http.Request) {},
			imagestore.ErrNotFound.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			r, fake := newFakeReceiver(t, imagestore.KindContainerd, "1.52")
			r.SetStallAfter(100 * time.Millisecond)
			var secret string
			fake.Handle(create, func(w http.ResponseWriter, req *http.Request) {
				secret = password(req)
				c.pull(w, req)
			})
			got := r.receive(t, ref, c.image)
			if got.Via != buildkit.ViaLoad || got.LayersSent != 2 ||
				got.Method != buildkit.MethodFull ||
				!strings.Contains(got.Reason, c.why) {
				t.Errorf("%+v", got)
			}
			if secret == "" || strings.Contains(got.Reason, secret) {
				t.Errorf("the reason gives %q away: %s", secret, got.Reason)
			}
		})
	}
}

// The image that the engine pulled is another one, since another server listens at the address on
// the engine's machine.
func TestReceiveLoadsWhenAnotherImageWasPulled(t *testing.T) {
	r, fake := newFakeReceiver(t, imagestore.KindContainerd, "1.52")
	fake.Handle(create, func(w http.ResponseWriter, req *http.Request) {
		name := req.URL.Query().Get("fromImage")
		fake.Publish(name+":unverified", storetest.Build(storetest.Spec{Content: "not ours"}),
			"", "")
		req.Header.Del("X-Registry-Auth")
		fake.Pull(w, req)
	})
	got := r.receive(t, ref, storetest.NewLayered(t, "ours"))
	if got.Via != buildkit.ViaLoad || !strings.Contains(got.Reason, "instead of") {
		t.Errorf("%+v", got)
	}
	for _, img := range fake.Names() {
		if img != ref {
			t.Errorf("%s is left", img)
		}
	}
}

// Names that killed Receives left go with the next one for the same reference, and with no other.
// Until the image has its own one is kept, which may be its last.
func TestFault43_NextReceiveRemovesTheNameOfThePull(t *testing.T) {
	r, _ := newFakeReceiver(t, imagestore.KindContainerd, "1.52")
	l := storetest.NewLayered(t, "base")
	r.receive(t, "molecule-local/first:1", l)
	left := []string{"127.0.0.1:40000/" + ref, "127.0.0.1:40001/molecule-local/y:unverified",
		"127.0.0.1:40002/" + ref}
	for _, name := range left {
		if err := r.Tag(t.Context(), l.ID(r.kind), name); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Untag(t.Context(), "molecule-local/first:1"); err != nil {
		t.Fatal(err)
	}
	got, err := r.Receive(t.Context(), l.Transfer(ref))
	if err != nil || got.Name != left[0] {
		t.Fatalf("%+v, %v", got, err)
	}
	img := r.named(t, "molecule-local/second:1", got)
	if want := []string{left[1], "molecule-local/second:1"}; !slices.Equal(img.Tags, want) {
		t.Errorf("tags are %q", img.Tags)
	}
}

// An image that is there is asked for by the two IDs that it may have, gets no name, and is
// reported with the one that an attempt before left.
func TestReceiveOfWhatIsThere(t *testing.T) {
	for _, kind := range []imagestore.Kind{imagestore.KindClassic, imagestore.KindContainerd} {
		r, fake := newFakeReceiver(t, kind, "1.52")
		l := storetest.NewLayered(t, "base", "top")
		r.receive(t, "molecule-local/x:1", l)
		before := len(fake.Requests())
		got, err := r.Receive(t.Context(), l.Transfer(ref))
		if err != nil || got.Name != "" || got.Kind != kind || got.Image.ID != l.ID(kind) ||
			got.Via != "" || got.LayersReused != 2 {
			t.Errorf("%s: %+v, %v", kind, got, err)
		}
		asked := slices.DeleteFunc(slices.Sorted(slices.Values(fake.Requests()[before:])),
			func(request string) bool {
				return request == "GET /info" // which is not waited for
			})
		want := []string{"GET /images/" + l.ID(imagestore.KindClassic) + "/json", "GET /images/" +
			l.ID(imagestore.KindContainerd) + "/json"}
		if slices.Sort(want); !slices.Equal(asked, want) {
			t.Errorf("%s: the engine was asked %q", kind, asked)
		}
		if err := r.Tag(t.Context(), l.ID(kind), ref); err != nil {
			t.Fatal(err)
		}
		if got, err := r.Receive(t.Context(), l.Transfer(ref)); err != nil || got.Name != ref {
			t.Errorf("%s: %+v, %v", kind, got, err)
		}
	}
}

// The caller goes away in the middle of a layer.
func TestReceiveCancelledDuringPull(t *testing.T) {
	r, fake := newFakeReceiver(t, imagestore.KindContainerd, "1.52")
	ctx, cancel := context.WithCancel(t.Context())
	l := storetest.NewLayered(t, largerThanBuffers, "top")
	fake.Handle(create, func(w http.ResponseWriter, req *http.Request) {
		// As if the pull had ended a moment before.
		fake.Pull(w, req)
		cancel()
	})
	_, err := r.Receive(ctx, l.Transfer(ref))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	wantNoImage(t, r.Engine, l, ref)

	ctx, cancel = context.WithCancel(t.Context())
	fake.Handle(create, halfway(l))
	transfer := l.Transfer(ref)
	transfer.OnBytes = func(int) { cancel() }
	_, err = r.Receive(ctx, transfer)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	wantNoImage(t, r.Engine, l, ref)
}

// The engine dies during a pull: no other way is tried.
func TestReceiveEngineDiesDuringPull(t *testing.T) {
	r, fake := newFakeReceiver(t, imagestore.KindContainerd, "1.52")
	fake.Handle(create, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	_, err := r.Receive(t.Context(), storetest.NewLayered(t, "base").Transfer(ref))
	wantUnavailable(t, err, "pull")
}

// registryGet asks the registry that the pull in r is from.
func registryGet(r *http.Request, method, path, password string) (*http.Response, error) {
	host, repository, _ := strings.Cut(r.URL.Query().Get("fromImage"), "/")
	req, err := http.NewRequestWithContext(r.Context(), method,
		"http://"+host+"/v2/"+repository+path, nil)
	if err != nil {
		return nil, err
	}
	if password != "" {
		req.SetBasicAuth("pinion", password)
	}
	return http.DefaultClient.Do(req)
}

// TestPullRegistry asks the registry of a pull what it must not tell.
func TestPullRegistry(t *testing.T) {
	r, fake := newFakeReceiver(t, imagestore.KindContainerd, "1.52")
	l := storetest.NewLayered(t, "base", "top")
	var host string
	fake.Handle(create, func(w http.ResponseWriter, req *http.Request) {
		host, _, _ = strings.Cut(req.URL.Query().Get("fromImage"), "/")
		secret := password(req)
		for _, c := range []struct {
			method, path, password string
			want                   int
		}{
			{http.MethodGet, "/manifests/unverified", "", http.StatusUnauthorized},
			{http.MethodGet, "/manifests/unverified", "guess", http.StatusUnauthorized},
			{http.MethodGet, "/manifests/unverified", secret[:len(secret)-1],
				http.StatusUnauthorized},
			{http.MethodGet, "/blobs/" + l.Digests[0], "", http.StatusUnauthorized},
			{http.MethodGet, "/blobs/sha256:unknown", "", http.StatusUnauthorized},
			{http.MethodHead, "/manifests/unverified", secret, http.StatusOK},
			{http.MethodGet, "/manifests/" + l.Descriptor.Digest.String(), secret, http.StatusOK},
			{http.MethodHead, "/blobs/" + l.Digests[0], secret, http.StatusOK},
			{http.MethodGet, "/manifests/latest", secret, http.StatusNotFound},
			{http.MethodGet, "/tags/list", secret, http.StatusNotFound},
			{http.MethodGet, "/blobs/" + digest.FromString("another").String(), secret,
				http.StatusNotFound},
			{http.MethodGet, "/blobs/..%2f..%2fetc%2fpasswd", secret, http.StatusNotFound},
			{http.MethodPut, "/manifests/unverified", secret, http.StatusMethodNotAllowed},
			{http.MethodDelete, "/blobs/" + l.Digests[0], secret, http.StatusMethodNotAllowed},
			{http.MethodPost, "/blobs/uploads", secret, http.StatusMethodNotAllowed},
		} {
			resp, err := registryGet(req, c.method, c.path, c.password)
			if err != nil {
				t.Error(err)
				continue
			}
			_ = resp.Body.Close()
			if resp.StatusCode != c.want {
				t.Errorf("%s %s: %s, want %d", c.method, c.path, resp.Status, c.want)
			}
		}
		if len(l.Opened()) != 0 {
			t.Errorf("layers were read: %v", l.Opened())
		}
		fake.Pull(w, req)
	})
	if got := r.receive(t, ref, l); got.Via != buildkit.ViaPull || got.LayersSent != 2 {
		t.Errorf("%+v", got)
	}
	// the server is gone
	if resp, err := http.Get("http://" + host + "/v2/"); err == nil {
		_ = resp.Body.Close()
		t.Error("the registry is still there after the pull")
	}
}

// A layer that has another length than its descriptor says is the source's fault.
func TestReceiveShortLayer(t *testing.T) {
	r, _ := newFakeReceiver(t, imagestore.KindContainerd, "1.52")
	l := storetest.NewLayered(t, "base")
	l.Open = func(_ context.Context, layer ocispec.Descriptor) (io.ReadCloser, error) {
		return l.Reader(layer.Digest, strings.NewReader("short")), nil
	}
	_, err := r.Receive(t.Context(), l.Transfer(ref))
	if !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, imagestore.ErrUnavailable) {
		t.Errorf("error is %v", err)
	}
	wantNoImage(t, r.Engine, l, ref)
}
