package docker_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// TestFault61_LayersThatReachOutside go to the engine as they are: nothing of them is unpacked on
// the way, and whether they are refused or confined is the engine's to say and ours to report.
func TestFault61_LayersThatReachOutside(t *testing.T) {
	for _, flavour := range parts.Flavours() {
		t.Run(string(flavour), func(t *testing.T) {
			d := partstest.Dockerd(t, flavour)
			r := &receiver{Engine: dial(t, d.Host(), nil), host: d.Host(), kind: kindOf(flavour)}
			base := storetest.TarOf(t, "base", []byte("base "+t.Name()))
			r.receive(t, "molecule-local/x:base", storetest.LayeredOf(t, base))
			for name, reach := range map[string]func(outside string) []*tar.Header{
				"up": func(outside string) []*tar.Header {
					return []*tar.Header{{Name: strings.Repeat("../", 20) + outside[1:] +
						"/planted"}}
				},
				"absolute": func(outside string) []*tar.Header {
					return []*tar.Header{{Name: outside + "/planted"}}
				},
				"link": func(outside string) []*tar.Header {
					return []*tar.Header{{Name: "way", Typeflag: tar.TypeSymlink,
						Linkname: outside}, {Name: "way/planted"}}
				},
				"link up": func(outside string) []*tar.Header {
					return []*tar.Header{{Name: "way", Typeflag: tar.TypeSymlink,
						Linkname: strings.Repeat("../", 20) + outside[1:]}, {Name: "way/planted"}}
				},
				"hard link": func(outside string) []*tar.Header {
					return []*tar.Header{{Name: "way", Typeflag: tar.TypeLink,
						Linkname: strings.Repeat("../", 20) + outside[1:] + "/there"},
						{Name: "way"}}
				},
			} {
				t.Run(name, func(t *testing.T) { r.testReach(t, base, reach) })
			}
		})
	}
}

// testReach delivers a hostile layer with all that is beneath it, and alone on a layer that the
// engine has.
func (r *receiver) testReach(t *testing.T, base []byte, reach func(outside string) []*tar.Header) {
	outside, ours := partstest.Dir(t), partstest.Dir(t)
	there := filepath.Join(outside, "there")
	if err := os.WriteFile(there, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", ours)
	for _, c := range []struct {
		name    string
		earlier []imagestore.LayerSet
	}{{"whole", nil}, {"delta", r.earlier}} {
		ref := "molecule-local/x:" + filepath.Base(outside) + c.name
		l := storetest.LayeredOf(t, base, hostileLayer(t, c.name, reach(outside)))
		transfer := l.Transfer(ref)
		transfer.Earlier = func() []imagestore.LayerSet { return c.earlier }
		got, err := r.Receive(t.Context(), transfer)
		if err == nil {
			if img := r.named(t, ref, got); img.ID != l.ID(r.kind) {
				t.Errorf("%s: reported as delivered is %+v, and there is %+v", c.name, got, img)
			}
		} else if typed := (*imagestore.Error)(nil); !errors.As(err, &typed) ||
			errors.Is(err, imagestore.ErrUnavailable) {
			t.Errorf("%s: error is %v", c.name, err)
		}
	}
	if found, err := os.ReadDir(outside); err != nil || len(found) != 1 {
		t.Errorf("outside are %v, %v", found, err)
	}
	if text, err := os.ReadFile(there); err != nil || string(text) != "mine" {
		t.Errorf("the file outside holds %q, %v", text, err)
	}
	if found, err := os.ReadDir(ours); err != nil || len(found) != 0 {
		t.Errorf("on the way were left %v, %v", found, err)
	}
}

func hostileLayer(t *testing.T, body string, entries []*tar.Header) []byte {
	t.Helper()
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	for _, h := range entries {
		if h.Typeflag == 0 {
			h.Typeflag, h.Size = tar.TypeReg, int64(len(body))
		}
		h.Mode = 0o644
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if _, err := w.Write([]byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return layer.Bytes()
}
