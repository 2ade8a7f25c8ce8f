package pinion

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/builder"
	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// versioned is a builder of some version.
type versioned struct {
	*fakeBuilder
	info buildkit.Info
}

func (v versioned) Info() buildkit.Info { return v.info }

func TestFault56_DoctorNamesTheAdvisories(t *testing.T) {
	for _, c := range []struct {
		info buildkit.Info
		word string
	}{
		{buildkit.Info{Kind: buildkit.KindBuildkitd, Version: "v0.31.1"}, "CVE-2026-33747"},
		{buildkit.Info{Kind: buildkit.KindDocker, Version: "v0.11.0", Engine: "24.0.9"},
			"CVE-2024-21626"},
		{buildkit.Info{Kind: buildkit.KindBuildkitd, Version: "v0.34.2"}, ""},
	} {
		w := newWorld(t)
		w.connect = func(context.Context, *imagestore.Facts, string) (builder.Connection, error) {
			return builder.Connection{Builder: versioned{w.builder, c.info}}, nil
		}
		got := checkNamed(t, w.Doctor(t.Context()), "builder")
		if bad := c.word != ""; bad != (got.Status == StatusWarn) ||
			!strings.Contains(got.Detail, c.word) {
			t.Errorf("%+v: %+v", c.info, got)
		}
	}
}

func checkNamed(t *testing.T, checks []Check, name string) Check {
	t.Helper()
	i := slices.IndexFunc(checks, func(c Check) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("no check %q in %+v", name, checks)
	}
	return checks[i]
}

func TestDoctorOnBuilderWithoutTLS(t *testing.T) {
	w := newWorld(t)
	w.builders.Addr = "tcp://builder.example:1234"
	w.connect = func(context.Context, *imagestore.Facts, string) (builder.Connection, error) {
		return builder.Connection{Builder: versioned{w.builder, buildkit.Info{
			Kind: buildkit.KindBuildkitd, Endpoint: w.builders.Addr, Version: "v0.34.2"}}}, nil
	}
	if got := checkNamed(t, w.Doctor(t.Context()), "builder"); got.Status != StatusWarn ||
		!strings.Contains(got.Detail, "without TLS") {
		t.Errorf("%+v", got)
	}
}

// oneWrong has a built-in template with a wrong entry, and pinned ones.
const oneWrong = `
templates:
  - name: claude-code
    brnach: work
  - name: codex
    revision: ` + shaB + `
  - name: hermes
    tag: v1
`

func TestAWrongEntryOfTheConfigFile(t *testing.T) {
	file := t.TempDir() + "/config.yaml"
	if err := os.WriteFile(file, []byte(oneWrong), 0o600); err != nil {
		t.Fatal(err)
	}
	log := &strings.Builder{}
	w := newWorld(t, WithConfig(file), WithLogger(slog.New(slog.NewTextHandler(log, nil))))
	text := file + `, line 4: templates, entry 1 (\"claude-code\")`
	if !strings.Contains(log.String(), text) {
		t.Errorf("the log has %s", log)
	}
	got := checkNamed(t, w.Doctor(t.Context()), "config file")
	if got.Status != StatusWarn || !strings.Contains(got.Detail, "brnach") {
		t.Errorf("the check is %+v", got)
	}
	if git := checkNamed(t, w.Doctor(t.Context()), "git server"); git.Status != StatusOK {
		t.Errorf("the git server is %+v", git)
	}
	_, err := w.Ensure(t.Context(), "claude-code")
	if ClassOf(err) != ClassUsage || !strings.Contains(err.Error(), "line 4") {
		t.Errorf("the error is %v", err)
	}
	if _, err := w.Ensure(t.Context(), "openclaw"); err != nil {
		t.Error(err)
	}
}

func TestPinnedTemplates(t *testing.T) {
	file := t.TempDir() + "/config.yaml"
	if err := os.WriteFile(file, []byte(oneWrong), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, WithConfig(file))
	for _, outcome := range []Outcome{OutcomeBuilt, OutcomeHit} {
		asked := w.heads.asked
		img, err := w.Ensure(t.Context(), "codex")
		if err != nil || img.Revision.String() != shaB || img.Outcome != outcome ||
			!img.SupersededBy.IsZero() {
			t.Fatalf("got %+v, %v", img, err)
		}
		if outcome == OutcomeHit && w.heads.asked != asked+1 {
			t.Errorf("%d requests", w.heads.asked-asked)
		}
	}
	res, err := w.Resolve(t.Context(), "codex")
	if err != nil || res.Ref != "" || res.Revision.String() != shaB {
		t.Errorf("got %+v, %v", res, err)
	}
	if res, err := w.Resolve(t.Context(), "hermes"); err != nil || res.Ref != "refs/tags/v1" {
		t.Errorf("got %+v, %v", res, err)
	}
	for _, r := range w.Templates() {
		if r.Name == "codex" && (r.Ref != "" || r.Revision.String() != shaB) {
			t.Errorf("it is listed as %+v", r)
		}
	}
	w.heads.err = ErrUnauthorized
	if _, err := w.Ensure(t.Context(), "codex"); !errors.Is(err, ErrUnauthorized) {
		t.Errorf("who may not read the repository gets %v", err)
	}
}

// TestDoctorSaysWhatTheBuilderNeeds: what the config file gives to the look-up of a git server
// cannot be given to the builder.
func TestDoctorSaysWhatTheBuilderNeeds(t *testing.T) {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	dir := t.TempDir()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	key, err := x509.MarshalPKCS8PrivateKey(s.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"ca.pem": ca, "own.pem": ca,
		"key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		"config.yaml": []byte("servers:\n- {host: git.example, ca_file: ca.pem, " +
			"client_cert: own.pem, client_key: key.pem}\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := newWorld(t, WithConfig(filepath.Join(dir, "config.yaml")))
	var got []Check
	for _, c := range w.Doctor(t.Context()) {
		if c.Name == "certificates" {
			got = append(got, c)
		}
	}
	for i, words := range [][]string{{"ca.pem", "add these certificates"},
		{"own.pem", "cannot show a certificate"}} {
		if len(got) != 2 || got[i].Status != StatusWarn ||
			!strings.HasPrefix(got[i].Detail, "git.example: ") ||
			!strings.Contains(got[i].Detail, filepath.Join(dir, words[0])) ||
			!strings.Contains(got[i].Detail, words[1]) {
			t.Errorf("got %+v", got)
		}
	}
}

// TestDoctorFindsLeftovers: of what earlier tools left, one image with two names and one clone.
func TestDoctorFindsLeftovers(t *testing.T) {
	w := newWorld(t)
	w.ensure(t)
	if checks := w.Doctor(t.Context()); slices.ContainsFunc(checks, func(c Check) bool {
		return c.Name == "leftovers"
	}) {
		t.Errorf("nothing is left, and %+v", checks)
	}
	for _, tag := range []string{"0123456789ab", "latest"} {
		w.store.Put(imagestore.Image{ID: "sha256:earlier", Size: 3_000_000_000},
			"molecule-local/workspace-template-hermes:"+tag)
	}
	clone := filepath.Join(w.settings.cachePath(), "hermes", "0123456789ab")
	if err := os.MkdirAll(filepath.Join(clone, ".git"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(clone, ".git", "HEAD"),
		[]byte("0123456789abcdef0123456789abcdef01234567\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := checkNamed(t, w.Doctor(t.Context()), "leftovers")
	if s, _ := errdef.SituationOf(got.Err); got.Status != StatusWarn || s != errdef.Leftovers ||
		!strings.Contains(got.Detail, "1 images (3GB) and 1 clones (41B)") {
		t.Errorf("%+v", got)
	}
	w.reset(t, ResetOptions{Names: []string{"claude-code"}, Legacy: true})
	for _, dry := range []bool{true, false} {
		report := w.reset(t, ResetOptions{Legacy: true, DryRun: dry})
		if _, err := os.Stat(clone); (err == nil) != dry || len(report.Items) != 2 ||
			report.Reclaimed != 3_000_000_000 || len(report.Clones) != 1 ||
			report.Clones[0].Path != clone {
			t.Errorf("dry run %v: %+v, %v", dry, report, err)
		}
	}
	if w.recorded(t) != 1 || len(w.store.Images) != 1 {
		t.Errorf("left are %v", w.store.References())
	}
}

// TestDoctorNamesTheCredentials of the config file, and the variables that are not set.
func TestDoctorNamesTheCredentials(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte("credentials:\n- {host: a.example, token_env: A_TOKEN}\n"+
		"- {host: b.example, token_env: B_TOKEN}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"A_TOKEN": "s3cr3t"}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	for _, c := range []struct {
		status Status
		words  string
	}{{StatusWarn, "B_TOKEN is not set"}, {StatusOK, "B_TOKEN is set"}} {
		w := newWorld(t, OptionsFromEnv(lookup), WithConfig(file))
		got := checkNamed(t, w.Doctor(t.Context()), "token")
		if got.Status != c.status ||
			!strings.Contains(got.Detail, "for a.example A_TOKEN is set") ||
			!strings.Contains(got.Detail, c.words) || strings.Contains(got.Detail, "s3cr3t") {
			t.Errorf("got %+v", got)
		}
		env["B_TOKEN"] = "other"
	}
}
