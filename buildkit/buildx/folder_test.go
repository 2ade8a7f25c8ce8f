package buildx_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/buildkit/buildx"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

var update = flag.Bool("update", false, "write the golden files with the real buildx")

// The Docker contexts of testdata, see TestGoldenFiles.
const (
	here  = "here"
	there = "there"
)

// TestGoldenFiles compares the files that the other tests read with those of the real buildx.
func TestGoldenFiles(t *testing.T) {
	partstest.Need(t, parts.NameBuildx)
	path, err := parts.Locate("buildx")
	if err != nil {
		t.Fatal(err)
	}
	dir, config := t.TempDir(), t.TempDir()
	host := storetest.StartFake(t, imagestore.KindContainerd, "1.52").Host()
	for _, name := range []string{here, there} {
		sum := sha256.Sum256([]byte(name))
		put(t, config, "contexts/meta/"+hex.EncodeToString(sum[:])+"/meta.json",
			fmt.Sprintf(`{"Name":%q,"Metadata":{},"Endpoints":{"docker":{"Host":%q,`+
				`"SkipTLSVerify":false}}}`, name, host))
	}
	run := func(context string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), path, args...)
		cmd.Env = []string{"BUILDX_CONFIG=" + dir, "DOCKER_CONFIG=" + config, "DOCKER_CONTEXT=" +
			context}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("buildx %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	run(here, "create", "--name", "Remote", "--driver", "remote", "--driver-opt",
		"cacert=/etc/ca.pem,cert=/etc/cert.pem,key=/etc/key.pem,servername=builder",
		"tcp://builder:1234")
	run(here, "create", "--name", "boxed", "--driver", "docker-container", "--platform",
		"linux/arm64,linux/arm/v7")
	run(here, "create", "--name", "boxed", "--append", "--node", "second", "--platform",
		"linux/amd64", there)
	run(here, "use", "--default", "boxed")
	run(there, "use", "remote")
	for _, name := range []string{"current", "instances/remote", "instances/boxed", "defaults/" +
		only(t, filepath.Join(dir, "defaults"))} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", name)
		if *update {
			if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(golden, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(golden); err != nil || string(want) != string(got) {
			t.Errorf("buildx writes %s as %s, and not as %s (%v); run with -update",
				name, got, want, err)
		}
	}
}

func only(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%s has %v, %v", dir, entries, err)
	}
	return entries[0].Name()
}

func TestBuilder(t *testing.T) {
	b, err := buildx.At("testdata").Builder("REMOTE")
	if err != nil || b.Name != "Remote" || b.Driver != buildx.DriverRemote || len(b.Nodes) != 1 ||
		b.Nodes[0].Endpoint != "tcp://builder:1234" {
		t.Errorf("got %+v, %v", b, err)
	}
	if tls, err := b.Nodes[0].TLS(); err != nil ||
		tls != (buildx.TLSOptions{CACert: "/etc/ca.pem", Cert: "/etc/cert.pem", Key: "/etc/key.pem",
			ServerName: "builder"}) {
		t.Errorf("TLS is %+v, %v", tls, err)
	}
	b, err = buildx.At("testdata").Builder("boxed")
	if err != nil || b.Driver != buildx.DriverContainer || len(b.Nodes) != 2 {
		t.Fatalf("got %+v, %v", b, err)
	}
	first, second := b.Nodes[0], b.Nodes[1]
	if first.Container() != "buildx_buildkit_boxed0" || first.Endpoint != here ||
		len(first.Platforms) != 2 || first.Platforms[1].Variant != "v7" {
		t.Errorf("got %+v", first)
	}
	if second.Container() != "buildx_buildkit_second" || second.Endpoint != there ||
		len(second.Platforms) != 1 {
		t.Errorf("got %+v", second)
	}
}

func TestNamesThatAreNone(t *testing.T) {
	for _, name := range []string{"", "missing", "..", "../current", "a/b", "-x", "9", "a b",
		"instances/remote"} {
		if _, err := buildx.At("testdata").Builder(name); !errors.Is(err, buildx.ErrUnknown) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := (buildx.Folder{}).Builder("remote"); !errors.Is(err, buildx.ErrUnknown) {
		t.Errorf("no folder: %v", err)
	}
}

func TestSelected(t *testing.T) {
	for endpoint, want := range map[string]string{here: "boxed", there: "remote",
		"desktop-linux": ""} {
		s, ok, err := buildx.At("testdata").Selected(endpoint)
		if err != nil || ok != (want != "") || !strings.EqualFold(s.Name, want) ||
			ok != (s.Why != "") {
			t.Errorf("%s: got %+v, %t, %v", endpoint, s, ok, err)
		}
	}
	if _, ok, err := (buildx.Folder{}).Selected(here); ok || err != nil {
		t.Errorf("no folder: %t, %v", ok, err)
	}
}

// The rest of buildx's rules (store.Txn.Current), with the files as they come about.
func TestSelectedByCurrent(t *testing.T) {
	const builder = `{"Name":"one","Driver":"remote",` +
		`"Nodes":[{"Name":"one0","Endpoint":"tcp://x:1"}]}`
	for name, c := range map[string]struct {
		current  map[string]any
		instance string
		ok, bad  bool
	}{
		"nothing":   {},
		"another's": {current: map[string]any{"Key": there, "Name": "one"}, instance: builder},
		"for all": {current: map[string]any{"Key": there, "Name": "one", "Global": true},
			instance: builder, ok: true},
		"the engine's":   {current: map[string]any{"Key": here, "Name": ""}, instance: builder},
		"removed":        {current: map[string]any{"Key": here, "Name": "one"}},
		"removed global": {current: map[string]any{"Key": here, "Name": "one", "Global": true}},
		"broken": {current: map[string]any{"Key": here, "Name": "one"},
			instance: `{"Name":`, bad: true},
		"empty": {current: map[string]any{"Key": here, "Name": "one"}, instance: `{}`,
			bad: true},
		"a path": {current: map[string]any{"Key": here, "Name": "one"},
			instance: strings.Replace(builder, `"one"`, `"../one"`, 1), bad: true},
		"another name": {current: map[string]any{"Key": here, "Name": "one"},
			instance: strings.Replace(builder, `"one"`, `"two"`, 1), bad: true},
		"broken current": {current: map[string]any{"Key": 7}, bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			put(t, dir, "instances/one", c.instance)
			if c.current != nil {
				raw, err := json.Marshal(c.current)
				if err != nil {
					t.Fatal(err)
				}
				put(t, dir, "current", string(raw))
			}
			s, ok, err := buildx.At(dir).Selected(here)
			if ok != c.ok || (err != nil) != c.bad || ok && s.Name != "one" {
				t.Errorf("got %+v, %t, %v", s, ok, err)
			}
		})
	}
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	if text == "" {
		return
	}
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFolderOfVariable(t *testing.T) {
	lookup := func(name string) (string, bool) { return "/x", name == buildx.EnvConfig }
	none := func(string) (string, bool) { return "", false }
	if buildx.Find(lookup, "/home/me/.docker") != buildx.At("/x") ||
		buildx.Find(none, "/d") != buildx.At("/d/buildx") ||
		buildx.Find(none, "") != (buildx.Folder{}) {
		t.Error("another folder")
	}
}

func TestTLSThatBuildxRefuses(t *testing.T) {
	for _, o := range []map[string]string{{"cacert": "ca.pem"}, {"servername": "x"},
		{"cacert": "/ca", "cert": "/c"}, {"key": "/k", "cacert": "/ca"}} {
		if got, err := (buildx.Node{Options: o}).TLS(); err == nil {
			t.Errorf("%v: %+v", o, got)
		}
	}
	other := buildx.Node{Options: map[string]string{"default-load": "true"}}
	if got, err := other.TLS(); err != nil || got != (buildx.TLSOptions{}) {
		t.Errorf("got %+v, %v", got, err)
	}
}
