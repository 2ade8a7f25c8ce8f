package layout_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/layout"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/internal/registry"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// TestPushFromLayout: a registry behind a proxy with a limit gets the image with its attestations,
// piece by piece and once.
func TestPushFromLayout(t *testing.T) {
	server := partstest.Registry(t, parts.RegistryOptions{User: "user", Password: "password"})
	front := partstest.Proxy(t, server.URL())
	front.SetHook(parts.LimitBody(1 << 20))
	host := strings.TrimPrefix(front.URL(), "http://")
	dir := t.TempDir()
	f := openLayout(t, dir)
	large := storetest.Attested(t, "base", strings.Repeat("large ", 1<<20))
	f.receive(t, "molecule-local/x:1", large)
	push := func(host, password string) (string, error) {
		l, err := layout.Open(dir, layout.WithLogins(func(host string) (registry.Login, error) {
			return registry.PasswordLogin(host, "user", password)
		}))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return l.Push(t.Context(), imagestore.Push{ID: large.Root().Digest.String(),
			Ref: host + "/team/x:1"}, nil)
	}
	for want, at := range map[error][2]string{imagestore.ErrUnauthorized: {host, "wrong"},
		imagestore.ErrUnavailable: {"nowhere.invalid", "password"}} {
		_, err := push(at[0], at[1])
		failed, ok := errors.AsType[*imagestore.Error](err)
		if !ok || failed.Origin != imagestore.OriginRegistry || !errors.Is(err, want) {
			t.Errorf("%s: %v", at[0], err)
		}
	}
	damaged := f.blob(digest.Digest(large.Digests[1]))
	spoil(t, damaged)
	_, err := push(host, "password")
	wantLayoutError(t, err, nil)
	remove(t, damaged)
	f.receive(t, "molecule-local/x:1", large)

	for range 2 {
		front.Reset()
		got, err := push(host, "password")
		if err != nil || got != large.Root().Digest.String() {
			t.Fatalf("pushed was %s, %v", got, err)
		}
	}
	for _, r := range front.Requests() {
		if r.Method != http.MethodHead {
			t.Errorf("again: %s %s", r.Method, r.Path)
		}
	}
	front.SetHook(parts.LimitBody(10))
	_, err = push(host+"/other", "password")
	if s, _ := errdef.SituationOf(err); s != errdef.RegistryBodyLimit {
		t.Errorf("a limit that cannot be kept: %v", err)
	}
}
