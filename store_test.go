package pinion

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

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
