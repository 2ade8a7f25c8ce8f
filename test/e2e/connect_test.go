package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"path/filepath"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// TestDockerContext finds the engine by a context, as Docker's CLI does: by flag, by variable, and
// as the config's current one.
func TestDockerContext(t *testing.T) {
	s := newScene(t, containerdOwn)
	s.prepare(t, "RUN echo context")
	s.ensure(t, pinion.OutcomeBuilt)
	sum := sha256.Sum256([]byte("mine"))
	meta := fmt.Sprintf(
		`{"Name":"mine","Metadata":{},"Endpoints":{"docker":{"Host":%q,"SkipTLSVerify":false}}}`,
		s.engine.URL(),
	)
	config := filepath.Join(s.env["HOME"], ".docker")
	write(t, filepath.Join(config, "contexts", "meta", hex.EncodeToString(sum[:]), "meta.json"),
		meta, 0o600)
	none := s.with("DOCKER_HOST", "")
	for name, run := range map[string]func() result{
		"flag": func() result {
			return none.run(t, "ensure", runtime, "--format", "json", "--context", "mine")
		},
		"variable": func() result {
			return none.with("DOCKER_CONTEXT", "mine").run(t, "ensure", runtime, "--format", "json")
		},
		"current": func() result {
			write(t, filepath.Join(config, "config.json"), `{"currentContext":"mine"}`, 0o600)
			return none.run(t, "ensure", runtime, "--format", "json")
		},
		// The same engine at the same address: what was built by way of DOCKER_HOST is there.
		"host": func() result {
			return none.run(t, "ensure", runtime, "--format", "json", "-H", s.engine.URL())
		},
	} {
		t.Run(name, func(t *testing.T) {
			if img := parseImage(t, run()); img.Outcome != pinion.OutcomeHit {
				t.Errorf("got %+v", img)
			}
		})
	}
	none.fail(t, exitStore, []string{"other"}, "ensure", runtime, "--context", "other")
}

// TestBuilderOverTLS: a buildkitd at a TCP address that requires client certificates.
func TestBuilderOverTLS(t *testing.T) {
	partstest.Need(t, parts.NameBuildkitd)
	dir := certificates(t)
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := "tcp://" + listener.Addr().String()
	listener.Close()
	file := func(name string) string { return filepath.Join(dir, name) }
	partstest.Buildkitd(t, parts.BuildkitdOptions{Args: []string{
		"--addr", addr, "--tlscacert", file("ca.pem"), "--tlscert", file("cert.pem"), "--tlskey",
		file("key.pem"),
	}})
	s := newScene(t, classicOwn)
	s.prepare(t, "RUN echo over TLS")
	s.fail(t, exitNoBuilder, []string{addr}, "ensure", runtime, "--addr", addr)
	s.fail(t, exitNoBuilder, []string{addr}, "ensure", runtime, "--addr", addr, "--tlscacert",
		file("ca.pem"))
	img := parseImage(t, s.run(t, "ensure", runtime, "--format", "json", "--addr", addr,
		"--tlsdir", dir))
	if img.Outcome != pinion.OutcomeBuilt || img.Builder == nil || img.Builder.Endpoint != addr {
		t.Errorf("got %+v", img)
	}
}

// certificates makes a folder for --tlsdir. One self-signed certificate is authority,
// server and client.
func certificates(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "pinion tests"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:   now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour), IsCA: true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth,
			x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certificate := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	dir := t.TempDir()
	write(t, filepath.Join(dir, "ca.pem"), certificate, 0o600)
	write(t, filepath.Join(dir, "cert.pem"), certificate, 0o600)
	write(t, filepath.Join(dir, "key.pem"),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})), 0o600)
	return dir
}
