package docker_test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// testRealUpload: behind a proxy that refuses what the engine sends, the image gets to the registry
// all the same, is the same image when it is pulled, and nothing is sent twice.
func testRealUpload(t *testing.T, daemon *parts.Dockerd, kind imagestore.Kind) {
	server := partstest.Registry(t, parts.RegistryOptions{User: "user",
		Password: "canary-password"})
	front := partstest.Proxy(t, server.URL())
	host := strings.TrimPrefix(front.URL(), "http://")
	engine := dialWithLogin(t, daemon.Host(), host, "canary-password")
	noise := make([]byte, 4<<20)
	_, _ = rand.Read(noise) // never fails
	a := storetest.Build(storetest.Spec{Tag: "large:1", Content: hex.EncodeToString(noise)})
	if err := engine.Load(t.Context(), bytes.NewReader(a.Tar), ""); err != nil {
		t.Fatal(err)
	}
	id, ref := a.ID(kind), host+"/team/large:1"
	writes := func() (n int) {
		for _, r := range front.Requests() {
			if r.Method == http.MethodPatch || strings.Contains(r.Path, "/blobs/uploads/") {
				n++
			}
		}
		return n
	}

	front.SetHook(parts.LimitBody(100 << 10)) // less than the least piece
	_, err := engine.Push(t.Context(), imagestore.Push{ID: id, Ref: ref}, nil)
	if s, _ := errdef.SituationOf(err); s != errdef.RegistryBodyLimit {
		t.Fatalf("a limit that cannot be kept: %v", err)
	}
	front.SetHook(parts.LimitBody(1 << 20))
	var sent int64
	got, err := engine.Push(t.Context(), imagestore.Push{ID: id, Ref: ref},
		func(p imagestore.Progress) { sent = max(sent, p.Bytes) })
	if err != nil {
		t.Fatal(err)
	}
	if kind == imagestore.KindContainerd && got != id {
		t.Errorf("pushed was %s, not %s", got, id)
	}
	if sent < 3<<20 {
		t.Errorf("%d bytes were reported", sent)
	}
	for _, p := range []imagestore.Push{{ID: id, Ref: ref},
		{ID: id, Ref: host + "/team/large:2", Known: got}} {
		front.Reset()
		if again, err := engine.Push(t.Context(), p, nil); err != nil || again != got {
			t.Errorf("again as %s: %s, %v", p.Ref, again, err)
		}
		if n := writes(); n != 0 {
			t.Errorf("again as %s: %d requests to upload", p.Ref, n)
		}
	}
	if _, err := engine.Inspect(t.Context(), ref); !errors.Is(err, imagestore.ErrNotFound) {
		t.Errorf("the name of the push is left: %v", err)
	}
	front.SetHook(nil)
	if err := engine.Untag(t.Context(), "large:1"); err != nil {
		t.Fatal(err)
	}
	if err := engine.Pull(t.Context(), ref, "", nil); err != nil {
		t.Fatal(err)
	}
	if img, err := engine.Inspect(t.Context(), ref); err != nil || img.ID != id {
		t.Errorf("pulled was %s, not %s: %v", img.ID, id, err)
	}
}
