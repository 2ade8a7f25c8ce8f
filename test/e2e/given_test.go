package e2e_test

import (
	"encoding/base64"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/moby/moby/client"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
)

// giving is a user whose config file gives an image for the runtime.
func (u user) giving(t *testing.T, image string) user {
	t.Helper()
	config := filepath.Join(t.TempDir(), "config.yaml")
	write(t, config, "templates:\n  - {name: "+runtime+", image: \""+image+"\"}\n", 0o600)
	return u.with("PINION_CONFIG", config)
}

// pull pulls with the engine's own API.
func (s *scene) pull(t *testing.T, ref string) {
	t.Helper()
	login := fmt.Sprintf(`{"username":%q,"password":%q}`, depotUser, depotPassword)
	resp, err := s.docker.ImagePull(t.Context(), ref, client.ImagePullOptions{
		RegistryAuth: base64.URLEncoding.EncodeToString([]byte(login))})
	if err == nil {
		err = resp.Wait(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestGivenImage hands out the image that the catalogue gives, by its ID or by the digest under
// which a registry has it, and asks neither a git server, a builder nor a registry.
func TestGivenImage(t *testing.T) {
	d := newDepot(t)
	onCells(t, []cell{containerdOwn, classicOwn, oldOwn}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		path := s.prefix + "images/given"
		a := d.push(t, path, "v1", storetest.Spec{Content: path})
		named := d.host + "/" + path + "@" + a.ManifestDigest.String()
		u := d.withLogin(t, s.with("BUILDKIT_HOST", "unix:///nowhere"), depotPassword)

		u.giving(t, named).fail(t, 10, []string{named, "is not in the image store", "docker pull"},
			"ensure", runtime)
		s.pull(t, named)
		d.Reset()
		id := s.id(t, named)
		for _, image := range []string{named, id} {
			img := parseImage(t, u.giving(t, image).run(t, "ensure", runtime, "--format", "json"))
			if img.Outcome != pinion.OutcomeGiven || img.ID != id || img.Reference != image {
				t.Errorf("%s: %+v", image, img)
			}
			if r := u.giving(t, image).succeed(t, "resolve", runtime); r.stdout == "" {
				t.Error("resolve prints nothing")
			}
		}
		if d.Count("/v2/") != 0 || s.git.Count("/") != 0 {
			t.Errorf("the registry was asked for %v, the git server for %v", d.Requests(),
				s.git.Requests())
		}
	})
}
