package pinion

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
)

func withStore(t *testing.T, store string, env map[string]string) settings {
	t.Helper()
	s := defaults()
	env["HOME"] = t.TempDir()
	OptionsFromEnv(func(name string) (string, bool) { v, ok := env[name]; return v, ok })(&s)
	WithStore(store)(&s)
	return s
}

func TestChosenBuilderForFolder(t *testing.T) {
	const nowhere = "unix:///nowhere/docker.sock"
	for _, c := range []struct {
		name   string
		env    map[string]string
		engine bool
		why    string
	}{
		{"containerd store",
			map[string]string{"DOCKER_HOST": storetest.StartFake(t, imagestore.KindContainerd,
				"1.52").Host()}, true, "answers"},
		{"classic store",
			map[string]string{"DOCKER_HOST": storetest.StartFake(t, imagestore.KindClassic,
				"1.52").Host()}, false, "classic image store"},
		{"named and not there", map[string]string{"DOCKER_HOST": nowhere}, false, ""},
		{"unknown context", map[string]string{"DOCKER_CONTEXT": "unknown"}, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := withStore(t, StoreOCI+t.TempDir(), c.env)
			st, err := s.openStore()
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.choose(t.Context(), st)
			if c.why == "" {
				if !errors.Is(err, ErrNoBuilder) {
					t.Errorf("got %+v, %v", got, err)
				}
				return
			}
			if err != nil || (got.engine != nil) != c.engine || !strings.Contains(got.why, c.why) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestChosenBuilderForEngine(t *testing.T) {
	fake := storetest.StartFake(t, imagestore.KindClassic, "1.41")
	s := withStore(t, StoreDocker, map[string]string{"DOCKER_HOST": fake.Host()})
	st, err := s.openStore()
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.choose(t.Context(), &askedOnce{store: st})
	if err != nil || got.engine == nil || len(got.options) > 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestStoreNames(t *testing.T) {
	for _, name := range []string{"oci:", "oci: ", "OCI:/x", "tar:/x", "/x", "docker:x"} {
		if _, err := New(WithStore(name)); !errors.Is(err, ErrInvalidInput) ||
			!strings.Contains(err.Error(), "oci:DIR") {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", "docker", "oci:/x", "oci:x"} {
		if _, err := New(WithStore(name)); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// A folder that was removed, or exchanged, under a server that runs on is opened anew.
func TestFolderIsOpenedAnew(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "images")
	o, err := New(WithStore(StoreOCI + dir))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("New has made the folder already")
	}
	before, err := o.store()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := o.store(); err != nil || again != before {
		t.Errorf("opened twice; %v", err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if after, err := o.store(); err != nil || after == before {
		t.Errorf("the folder that was removed is still used; %v", err)
	}
}

func TestFolderThatIsNoLayout(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "letter"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := New(WithStore(StoreOCI + dir))
	if err != nil {
		t.Fatal(err)
	}
	var typed *Error
	if _, err := o.List(t.Context()); !errors.Is(err, ErrStore) || !errors.As(err, &typed) ||
		typed.Origin != OriginLayout {
		t.Errorf("got %v", err)
	}
}
