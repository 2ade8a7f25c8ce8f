package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// lfsConfig is a config file that fetches files in Git LFS, also from other hosts.
func lfsConfig(t *testing.T, hosts ...string) string {
	t.Helper()
	text := "templates:\n- name: " + runtime + "\n  lfs: true\n"
	for i, host := range hosts {
		if i == 0 {
			text += "  lfs_hosts:\n"
		}
		text += "  - '" + strings.TrimPrefix(host, "http://") + "'\n"
	}
	return configFile(t, text)
}

// TestLFS: a private repository on a server with LFS. Without the key in the catalogue there is
// another image, with pointers. What the server does not have is the template's fault.
func TestLFS(t *testing.T) {
	onCells(t, allCells(), func(t *testing.T, c cell) {
		s := newScene(t, c)
		tmpl := s.template(t, runtime, parts.RepoOptions{Private: true})
		content := []byte("#!/bin/sh\necho from LFS\n")
		if err := s.gitea.UploadLFS(t.Context(), tmpl.repo, content); err != nil {
			t.Fatal(err)
		}
		program := parts.LFSPointer("bin/tool", content)
		program.Mode = parts.Executable
		files := append(busybox(t, "COPY bin /tools", `CMD ["/tools/tool"]`), program,
			parts.Text(".gitattributes", parts.LFSAttributes("bin/*")))
		sha := tmpl.push(t, files...)
		// Gitea names its own address for objects, and not that of the proxy.
		proxied := s.with("MOLECULE_GITEA_TOKEN", s.token(t))
		s.user = proxied.with("MOLECULE_LOCAL_TEMPLATE_REPO_PREFIX", s.repoPrefix(s.gitea.URL()))

		plain := s.ensure(t, pinion.OutcomeBuilt)
		if plain.Reference != tmpl.reference(sha) ||
			!strings.Contains(strings.Join(plain.Warnings, " "), "lfs is true") {
			t.Errorf("%s with the warnings %q", plain.Reference, plain.Warnings)
		}
		u := s.with("PINION_CONFIG", lfsConfig(t))
		img := u.ensure(t, pinion.OutcomeBuilt)
		if img.ID == plain.ID || img.Reference == plain.Reference || len(img.Warnings) > 0 {
			t.Errorf("%+v, and with pointers %+v", img, plain)
		}
		if out := s.runContainer(t, img.ID); out != "from LFS\n" {
			t.Errorf("the container prints %q", out)
		}
		s.wantImage(t, img)
		s.reset()
		u.ensure(t, pinion.OutcomeHit)
		s.wantOnlyInspections(t)

		// Gitea returns the token for its own host, which is not the one that it is for.
		proxied.with("PINION_CONFIG", lfsConfig(t, s.gitea.URL())).refuse(t,
			pinion.ErrUnauthorized, "LFS")
		tags := s.tags(t, runtime)
		files[len(files)-2] = parts.LFSPointer("bin/tool", []byte("never pushed"))
		tmpl.push(t, files...)
		u.refuse(t, pinion.ErrRefused, `"bin/tool" is a pointer of Git LFS`, "does not have")
		if got := s.tags(t, runtime); len(got) != len(tags) {
			t.Errorf("the names are %q, and were %q", got, tags)
		}
		_, err := u.open(t).Bake(t.Context(), runtime)
		wantError(t, err, pinion.ErrInvalidInput, "Git LFS")
	})
}

// signedStore has one object at an address that is a secret, as an object storage does.
type signedStore struct {
	*httptest.Server
	secret canary
	mu     sync.Mutex
	asked  []http.Header // guarded by mu
}

func newSignedStore(t *testing.T, content []byte) *signedStore {
	t.Helper()
	store := &signedStore{secret: canary{"s1gn-4ture-of-the-address"}}
	store.Server = httptest.NewServer(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			store.mu.Lock()
			store.asked = append(store.asked, r.Header)
			store.mu.Unlock()
			if r.URL.Query().Get("sig") != store.secret.token ||
				r.Header.Get("X-Key") != store.secret.token {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			_, _ = w.Write(content) // the client may be gone
		}))
	t.Cleanup(store.Close)
	return store
}

// batch is an LFS server's answer that the pointer's content is in the store.
func (s *signedStore) batch(pointer parts.File) parts.Hook {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, ".git/info/lfs/objects/batch") {
			return false
		}
		var oid string
		var size int64
		_, rest, _ := strings.Cut(string(pointer.Data), "oid sha256:")
		_, _ = fmt.Sscanf(rest, "%s\nsize %d", &oid, &size)
		w.Header().Set("Content-Type", "application/vnd.git-lfs+json")
		_ = json.NewEncoder(w).Encode(map[string]any{"objects": []any{map[string]any{
			"oid": oid, "size": size, "actions": map[string]any{"download": map[string]any{
				"href":   s.URL + "/" + oid + "?sig=" + s.secret.token,
				"header": map[string]string{"X-Key": s.secret.token}}}}}})
		return true
	}
}

// TestFault68_LFSAddressesStaySecret: an object is at another host, at an address that is a secret.
// That host sees no credential. The secret is nowhere afterwards: in no output, not in the image,
// not in its provenance, and not in the builder's state.
func TestFault68_LFSAddressesStaySecret(t *testing.T) { onOwnDaemons(t, lfsSecrets) }

func lfsSecrets(t *testing.T, s *scene, d daemonDir) {
	t.Helper()
	content := []byte("from the store\n")
	pointer := parts.LFSPointer("f.bin", content)
	store := newSignedStore(t, content)
	s.git.SetHook(store.batch(pointer))
	own := canary{s.token(t)}
	s.user = s.with("MOLECULE_GITEA_TOKEN", own.token, "PINION_CONFIG", lfsConfig(t))
	tmpl := s.template(t, runtime, parts.RepoOptions{Private: true})
	tmpl.push(t, append(busybox(t, "ENV WORD="+marker, "COPY f.bin /", "RUN cat /f.bin"), pointer,
		parts.Text(".gitattributes", parts.LFSAttributes("*.bin")))...)

	host := strings.TrimPrefix(store.URL, "http://")
	refused := s.run(t, "ensure", runtime, "--debug")
	if refused.code != exitUnreachable || !strings.Contains(refused.stderr, "add "+host) ||
		len(store.asked) > 0 {
		t.Errorf("exit code %d, %d requests\n%s", refused.code, len(store.asked), refused.stderr)
	}
	u := s.with("PINION_CONFIG", lfsConfig(t, host))
	meta := filepath.Join(s.env["HOME"], "meta.json")
	args := []string{"ensure", runtime, "--progress", "plain", "--debug", "--format", "json",
		"--metadata-file", meta}
	if !d.old {
		args = append(args, "--attest", "type=provenance,mode=max")
	}
	built := u.succeed(t, args...)
	if !strings.Contains(built.stderr, "from the store") {
		t.Errorf("the build printed\n%s", built.stderr)
	}
	for _, header := range store.asked {
		if header.Get("Authorization") != "" {
			t.Errorf("the store was shown %v", header)
		}
	}
	texts := map[string]string{"a refusal": refused.stdout + refused.stderr, "stdout": built.stdout,
		"stderr": built.stderr, "the metadata file": read(t, meta)}
	if !d.old {
		statement, blobs := saved(s).provenance(t, parseImage(t, built))
		texts["the provenance"] = statement
		for digest, blob := range blobs {
			texts[digest.String()] = string(blob)
		}
	}
	if d.history != nil {
		if texts["the build history"] = d.history(t); !strings.Contains(texts["the build history"],
			marker) {
			t.Error("the history does not have the build")
		}
	}
	store.Config.Handler = http.NotFoundHandler()
	tmpl.push(t, append(busybox(t, "COPY f.bin /"), pointer, parts.Text("again", ""),
		parts.Text(".gitattributes", parts.LFSAttributes("*.bin")))...)
	failed := u.run(t, "ensure", runtime, "--debug")
	if failed.code != exitUnreachable {
		t.Errorf("exit code %d\n%s", failed.code, failed.stderr)
	}
	texts["a failure"] = failed.stdout + failed.stderr
	d.stop()
	for _, c := range []canary{own, store.secret} {
		for where, text := range texts {
			c.absent(t, where, text)
		}
		c.absentBelow(t, s.env["HOME"], false)
		c.absentBelow(t, d.dir, true)
	}
}
