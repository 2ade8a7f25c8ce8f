package cli

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/exitcode"
)

// authority makes certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	a.cert, a.key, a.pem = sign(t, a, "authority")
	return a
}

// sign makes a certificate, which is the authority's own if there is none yet.
func sign(t *testing.T, a *authority, name string) (*x509.Certificate, *ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: a.cert == nil,
		BasicConstraintsValid: true}
	parent, by := template, key
	if a.cert != nil {
		parent, by = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// write writes a certificate of that name with its key into files, and returns it.
func (a *authority) write(t *testing.T, name, certFile, keyFile string) tls.Certificate {
	t.Helper()
	_, key, text := sign(t, a, name)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	keyText := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	for path, text := range map[string][]byte{certFile: text, keyFile: keyText} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pair, err := tls.X509KeyPair(text, keyText)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// TestServeTLS: TCP is encrypted, takes callers with a certificate alone if there is an authority
// for them, speaks HTTP/2, and serves a new certificate when the files change.
func TestServeTLS(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	servers, clients := newAuthority(t), newAuthority(t)
	servers.write(t, "first", file("cert"), file("key"))
	if err := os.WriteFile(file("ca"), clients.pem, 0o600); err != nil {
		t.Fatal(err)
	}
	own := clients.write(t, "caller", file("client"), file("client-key"))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	f := accessFlags{tlsCert: file("cert"), tlsKey: file("key"), tlsCA: file("ca")}
	listeners := []net.Listener{l}
	if err := f.secure(listeners, slog.New(slog.NewTextHandler(&log, nil))); err != nil {
		t.Fatal(err)
	}
	h := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
		ReadHeaderTimeout: time.Minute, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	go func() { _ = h.Serve(listeners[0]) }()
	defer h.Close()

	roots := x509.NewCertPool()
	roots.AddCert(servers.cert)
	get := func(certs ...tls.Certificate) (*http.Response, error) {
		transport := &http.Transport{ForceAttemptHTTP2: true, DisableKeepAlives: true,
			TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: certs}}
		resp, err := (&http.Client{Transport: transport}).Get("https://" + l.Addr().String())
		if err == nil {
			_ = resp.Body.Close()
		}
		return resp, err
	}
	if _, err := get(); err == nil {
		t.Error("a caller without a certificate is let in")
	}
	if _, err := get(servers.write(t, "x", file("x"), file("x-key"))); err == nil {
		t.Error("a certificate of another authority is let in")
	}
	name := func() string {
		t.Helper()
		resp, err := get(own)
		if err != nil {
			t.Fatal(err)
		}
		if resp.ProtoMajor != 2 {
			t.Errorf("the protocol is %s", resp.Proto)
		}
		return resp.TLS.PeerCertificates[0].Subject.CommonName
	}
	if got := name(); got != "first" {
		t.Errorf("the certificate is %s", got)
	}
	servers.write(t, "second", file("cert"), file("key"))
	for end := time.Now().Add(20 * time.Second); name() != "second"; {
		if time.Now().After(end) {
			t.Fatal("the new certificate is not served")
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func TestServeRefusesWrongAccess(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad")
	if err := os.WriteFile(bad, []byte("tokens: [{name: a, sha256: x}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"--tls-cert x":                   "need each other",
		"--tls-client-ca x":              "needs --tls-cert",
		"--tokens-file " + bad:           "sha256",
		"--tokens-file " + dir + "/none": "no such file",
		"--listen tcp://127.0.0.1:0 --tls-cert " + bad + " --tls-key " + bad: "TCP needs a token",
		"--listen tcp://127.0.0.1:0 --token-file " + bad + " --tls-cert " + bad + " --tls-key " +
			bad: "--tls-cert: ",
	} {
		r := callWith(t.Context(), twoGood(), map[string]string{"XDG_RUNTIME_DIR": dir},
			append([]string{"serve"}, strings.Fields(args)...)...)
		if r.code != exitcode.Usage || !strings.Contains(r.stderr, want) {
			t.Errorf("%s: exit code %d, want %q\n%s", args, r.code, want, r.stderr)
		}
	}
}

// TestToken: the entry has the digest of the token that is printed.
func TestToken(t *testing.T) {
	r := callWith(t.Context(), twoGood(), nil, "token", "ci")
	sum := sha256.Sum256([]byte(strings.TrimSpace(r.stdout)))
	if r.code != 0 || !strings.Contains(r.stderr, "- name: ci\n  sha256: "+
		hex.EncodeToString(sum[:])+"\n") {
		t.Errorf("exit code %d\n%s\n%s", r.code, r.stdout, r.stderr)
	}
	r = callWith(t.Context(), twoGood(), nil, "token", "x", "--rights", "see,cancel", "--template",
		"hermes", "--template", "codex", "--requests-per-minute", "60")
	if r.code != 0 || !strings.HasSuffix(r.stderr, "  rights: [see, cancel]\n"+
		"  templates: [hermes, codex]\n  requests_per_minute: 60\n") {
		t.Errorf("exit code %d\n%s", r.code, r.stderr)
	}
	for _, args := range []string{"a b", "x --rights sea", "x --rights prune --template y",
		"x --requests-per-minute -1"} {
		words := strings.Fields(args)
		if args == "a b" {
			words = []string{args}
		}
		r := callWith(t.Context(), twoGood(), nil, append([]string{"token"}, words...)...)
		if r.code != exitcode.Usage || r.stdout != "" {
			t.Errorf("%s: exit code %d: %s", args, r.code, r.stderr)
		}
	}
}
