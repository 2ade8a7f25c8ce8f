package resolver

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// Server is what the configuration says of a git server. The zero value is the default.
type Server struct {
	// FollowRedirects follows a redirect to another repository of the same host, as after a rename.
	FollowRedirects bool
	// CAFile has certificates that are trusted besides the system's, and ClientCert and ClientKey
	// are shown to the server: PEM files, "" for none.
	CAFile, ClientCert, ClientKey string
	// Forge is what the server is, "" if that is not known.
	Forge ForgeKind
	// StatusTokenEnv names the environment variable with the token for commit statuses, "" for
	// none.
	StatusTokenEnv string

	tls *tls.Config // what the files have, nil for none
}

// Servers are by host[:port], in lower case.
type Servers map[string]Server

// For returns what is configured for a remote's host. A host with the scheme's default port and the
// same host without a port are one.
func (s Servers) For(r git.Remote) Server { return byHost(s, r) }

// readFiles returns what the files have, nil for none.
func (s Server) readFiles() (*tls.Config, error) {
	if s.CAFile == "" && s.ClientCert == "" {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.CAFile != "" {
		pem, err := os.ReadFile(s.CAFile)
		if err != nil {
			return nil, inKey(err, "ca_file")
		}
		if c.RootCAs, err = x509.SystemCertPool(); err != nil {
			c.RootCAs = x509.NewCertPool()
		}
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, inKey(fmt.Errorf("%w: %s has no certificate: give a PEM file",
				ErrInvalidInput, quote(s.CAFile)), "ca_file")
		}
	}
	if s.ClientCert != "" {
		// The error does not repeat what is in the files.
		pair, err := tls.LoadX509KeyPair(s.ClientCert, s.ClientKey)
		if err != nil {
			return nil, inKey(err, "client_cert")
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// transports returns a transport for each server that takes certificates of its own.
func (s Servers) transports(t Timeouts) map[string]*http.Transport {
	all := map[string]*http.Transport{}
	for host, server := range s {
		if server.tls != nil {
			all[host] = newTransport(t)
			all[host].TLSClientConfig = server.tls.Clone()
		}
	}
	return all
}
