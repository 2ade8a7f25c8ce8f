package resolver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

func TestFault16_RedirectOnTheSameHostIsFollowedIfAllowed(t *testing.T) {
	const newPack = "/new/home.git/git-upload-pack"
	other := newServer(t, map[string]http.HandlerFunc{packPath: headMain()})
	for name, c := range map[string]struct {
		location string
		setting  bool
		want     error
	}{
		"allowed":                 {newPack, true, nil},
		"not allowed":             {newPack, false, ErrNotFound},
		"to another host":         {other.URL + packPath, true, ErrInvalidAnswer},
		"to a login":              {"/user/login", true, ErrInvalidAnswer},
		"without end":             {"/acme/other.git/git-upload-pack", true, ErrNotFound},
		"to a path with controls": {"/a%0ab.git/git-upload-pack", true, ErrInvalidAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, map[string]http.HandlerFunc{packPath: redirect(307, c.location),
				newPack:                           headMain(),
				"/acme/other.git/git-upload-pack": redirect(307, packPath)})
			client := s.clientWithToken(canary,
				WithServers(Servers{s.host(): {FollowRedirects: c.setting}}))
			for range 2 { // the second time as well: the new place is not remembered
				before := len(s.seen())
				head, err := client.Head(t.Context(), s.remote(t), git.HEAD, Dialect{})
				if !errors.Is(err, c.want) {
					t.Fatalf("got %v, %v", head, err)
				}
				if err != nil {
					continue
				}
				if head.Remote.String() != s.URL+"/new/home" || head.Revision.String() != shaA ||
					s.seen()[before].path != packPath || len(s.seen()) != before+2 {
					t.Errorf("got %+v after %d requests", head, len(s.seen())-before)
				}
			}
		})
	}
	if n := len(other.seen()); n != 0 {
		t.Errorf("the other host was asked %d times", n)
	}
}

func TestOnBranchAfterARename(t *testing.T) {
	s := newServer(t, map[string]http.HandlerFunc{
		packPath:                        redirect(301, "/new/home.git/git-upload-pack"),
		"/new/home.git/git-upload-pack": headMain()})
	c := s.client(WithServers(Servers{s.host(): {FollowRedirects: true}}))
	head, err := c.OnBranch(t.Context(), s.remote(t), git.HEAD, mustRevision(t, shaA), Dialect{})
	if err != nil || head.Remote.String() != s.URL+"/new/home" {
		t.Errorf("got %+v, %v", head, err)
	}
}

func TestUserName(t *testing.T) {
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte("deploy:s3cret"))
	s := newServer(t, map[string]http.HandlerFunc{
		packPath: func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != want {
				answer(401, "text/plain", "no "+r.Header.Get("Authorization"))(w, r)
				return
			}
			headMain()(w, r)
		}})
	client := func(user string) *Client {
		return NewClient(Credentials{s.host(): {User: user, Token: "s3cret"}})
	}
	if _, err := client("deploy").Head(t.Context(), s.remote(t), git.HEAD, usual); err != nil {
		t.Error(err)
	}
	for user, advice := range map[string]string{"": "write user under credentials",
		"wrong": "user name"} {
		_, err := client(user).Head(t.Context(), s.remote(t), git.HEAD, Dialect{})
		if !errors.Is(err, ErrUnauthorized) || !strings.Contains(err.Error(), advice) {
			t.Errorf("user %q: %v", user, err)
		}
		sent := s.seen()[len(s.seen())-1].auth
		if encoded := strings.TrimPrefix(sent, "Basic "); strings.Contains(err.Error(), encoded) ||
			strings.Contains(err.Error(), "s3cret") {
			t.Errorf("the credential is in %v", err)
		}
	}
	if got := (Credential{User: "deploy", Token: "s3cret"}).Header(); got != want {
		t.Errorf("the header is %q", got)
	}
	if got := (Credential{Token: "s3cret"}).Header(); got != "" {
		t.Errorf("the header of a token alone is %q", got)
	}
}

func TestLoadUserNames(t *testing.T) {
	file := writeConfig(t, `
credentials:
  - {host: a.example, token_env: A, user: deploy}
  - {host: b.example, token_env: B, user_env: B_USER}
  - {host: c.example, token_env: B, user_env: C_USER}
  - {host: own.example, token_env: MOLECULE_GITEA_TOKEN, user: me}
`)
	env := map[string]string{"A": "ta", "B": "tb", "B_USER": " bot\n", "C_USER": "a:b"}
	setup, err := Load(LoadConfig{Prefix: "https://own.example/x-", File: file, Token: "own",
		Lookup: func(name string) (string, bool) { v, ok := env[name]; return v, ok }})
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]Credential{"a.example": {"deploy", "ta"},
		"b.example": {"bot", "tb"}, "c.example": {"", "tb"}, "own.example": {"me", "own"}} {
		if got := setup.Credentials[host]; got != want {
			t.Errorf("%s has %+v, want %+v", host, got, want)
		}
	}
	secrets := setup.Credentials.Secrets()
	pair := base64.StdEncoding.EncodeToString([]byte("bot:tb"))
	if !slices.Contains(secrets, pair) {
		t.Errorf("%q lack the pair", secrets)
	}
}

// TestWrongServers: a wrong entry says its line and what to write, and takes down itself alone.
func TestWrongServers(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(empty, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for entry, word := range map[string]string{
		"credentials:\n- {host: a.example, token_env: A, user: 'a:b'}":            "colon",
		"credentials:\n- {host: a.example, token_env: A, user: a, user_env: B}":   "one of them",
		"credentials:\n- {host: a.example, token_env: A, user_env: 'not a name'}": "variable",
		"servers:\n- {host: 'a.example/x'}":                                       "host name",
		"servers:\n- {host: a.example, redirects: always}":                        "same-host",
		"servers:\n- {host: a.example, ca_file: /none.pem}":                       "none.pem",
		"servers:\n- {host: a.example, ca_file: " + empty + "}":                   "PEM",
		"servers:\n- {host: a.example, client_cert: x.pem}":                       "client_key",
		"servers:\n- {host: a.example, client_cert: x.pem, client_key: y.pem}":    "x.pem",
		"servers:\n- {host: a.example, insecure: true}":                           "no key",
		"servers:\n- a.example":                                                   "mapping",
		"servers:\n- {host: b.example}\n- {host: b.example}":                      "already",
	} {
		c := newCatalogue(t)
		file := writeConfig(t, entry+"\ntemplates:\n- {name: mine, repo: 'https://h.example/a'}\n")
		if err := c.AddEntries(file); err != nil {
			t.Fatal(err)
		}
		p := c.Problems()
		if len(p) != 1 || !errors.Is(p[0], ErrInvalidInput) ||
			!strings.Contains(p[0].Error(), word) ||
			!strings.Contains(p[0].Error(), file+", line ") {
			t.Errorf("%s: %v, want %q", entry, p, word)
		}
		if _, err := c.Template("mine"); err != nil {
			t.Errorf("%s: %v", entry, err)
		}
		if len(c.Servers()) > 1 || len(c.TokenEnvs()) != 0 {
			t.Errorf("%s is taken", entry)
		}
	}
}

// authority makes certificates, and writes them into a folder.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := authority{key: key, cert: &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true,
		BasicConstraintsValid: true, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour)}}
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

// issue writes a certificate for localhost and its key.
func (a authority) issue(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{"localhost"},
		NotBefore: a.cert.NotBefore, NotAfter: a.cert.NotAfter,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, leaf, a.cert, &private.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+"-key.pem")
	writePEM(t, cert, "CERTIFICATE", der)
	writePEM(t, key, "PRIVATE KEY", text)
	return cert, key
}

func writePEM(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestCertificates: an authority and a client certificate of the config file are for one host.
func TestCertificates(t *testing.T) {
	file := writeConfig(t, "")
	dir, ca := filepath.Dir(file), newAuthority(t)
	writePEM(t, filepath.Join(dir, "ca.pem"), "CERTIFICATE", ca.cert.Raw)
	cert, key := ca.issue(t, dir, "server")
	ca.issue(t, dir, "client")
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	s := httptest.NewUnstartedServer(headMain())
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshakes that fail
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool,
		ClientAuth: tls.RequireAndVerifyClientCert}
	s.StartTLS()
	defer s.Close()
	_, port, _ := strings.Cut(s.Listener.Addr().String(), ":")
	host := "localhost:" + port
	for entry, ok := range map[string]bool{
		"{host: '" + host + "', ca_file: ca.pem, client_cert: client.pem, client_key: " +
			"client-key.pem}": true,
		"{host: '" + host + "', ca_file: ca.pem}":                                     false,
		"{host: '" + host + "', client_cert: client.pem, client_key: client-key.pem}": false,
		"{host: other.example, ca_file: ca.pem, client_cert: client.pem, client_key: " +
			"client-key.pem}": false,
	} {
		if err := os.WriteFile(file, []byte("servers:\n- "+entry+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		setup, err := Load(LoadConfig{File: file, Lookup: os.LookupEnv})
		if err != nil || len(setup.Catalogue.Problems()) != 0 {
			t.Fatalf("%v, %v", err, setup.Catalogue.Problems())
		}
		_, err = NewClient(nil, WithServers(setup.Servers)).Head(t.Context(),
			mustRemote(t, "https://"+host+"/acme/tool"), git.HEAD, Dialect{})
		if (err == nil) != ok || err != nil && !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %v", entry, err)
		}
	}
}
