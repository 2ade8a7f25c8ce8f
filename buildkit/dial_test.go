package buildkit_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// standInSocket is what this test binary connects its standard streams to when it is called
// `docker` or `ssh`.
const standInSocket = "PINION_TEST_STAND_IN_SOCKET"

func TestMain(m *testing.M) {
	if name := filepath.Base(os.Args[0]); name == "docker" || name == "ssh" {
		os.Exit(dialStdio(os.Getenv(standInSocket)))
	}
	code := m.Run()
	for name, b := range benches {
		if err := b.end(); err != nil {
			fmt.Fprintf(os.Stderr, "end %s: %v\n", name, err)
			code = 1
		}
	}
	os.Exit(code)
}

// dialStdio does what `buildctl dial-stdio` does at the other end of `docker exec` or `ssh`.
func dialStdio(socket string) int {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return 1
	}
	go func() { _, _ = io.Copy(conn, os.Stdin) }()
	if _, err := io.Copy(os.Stdout, conn); err != nil {
		return 1
	}
	return 0
}

// BuildKit's connhelpers run the commands docker and ssh; stand-ins for those join them to a real
// buildkitd.
func TestDialThroughDockerAndSSH(t *testing.T) {
	d := partstest.Buildkitd(t, parts.BuildkitdOptions{})
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	for _, name := range []string{"docker", "ssh"} {
		if err := os.Symlink(self, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	t.Setenv(standInSocket, d.Socket())
	for _, addr := range []string{"docker-container://builder", "ssh://user@builder.example"} {
		b, err := buildkit.Dial(t.Context(), addr, buildkit.TLS{})
		if err != nil {
			t.Errorf("%s: %v", addr, err)
			continue
		}
		if info := b.Info(); info.Kind != buildkit.KindBuildkitd || info.Endpoint != addr {
			t.Errorf("%+v", info)
		}
		b.Close()
	}
}

func TestDialTLS(t *testing.T) {
	dir := t.TempDir()
	pki := newPKI(t, dir)
	addr := "tcp://" + freePort(t)
	partstest.Buildkitd(t, parts.BuildkitdOptions{Args: []string{
		"--addr", addr, "--tlscacert", pki.CACert, "--tlscert", pki.Cert, "--tlskey", pki.Key,
	}})
	b, err := buildkit.Dial(t.Context(), addr, pki)
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
	for name, tls := range map[string]buildkit.TLS{
		"no TLS": {}, "no client certificate": {CACert: pki.CACert},
		"wrong name": {CACert: pki.CACert, Cert: pki.Cert, Key: pki.Key,
			ServerName: "other.example"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if _, err := buildkit.Dial(ctx, addr, tls); !errors.Is(err, buildkit.ErrNoBuilder) {
			t.Errorf("%s: error is %v", name, err)
		}
		cancel()
	}
}

func TestDialNobody(t *testing.T) {
	for _, addr := range []string{"unix:///nowhere/b.sock", "nonsense://x", "tcp://" +
		freePort(t)} {
		_, err := buildkit.Dial(t.Context(), addr, buildkit.TLS{})
		wantError(t, err, buildkit.ErrNoBuilder, addr)
		wantSituation(t, err, errdef.BuilderDown, addr)
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// newPKI writes one certificate that is its own authority and serves both sides.
func newPKI(t *testing.T, dir string) buildkit.TLS {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour),
		NotAfter:    time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, body []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: body}),
			0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	certFile := write("cert.pem", "CERTIFICATE", cert)
	return buildkit.TLS{CACert: certFile, Cert: certFile,
		Key: write("key.pem", "EC PRIVATE KEY", der)}
}
