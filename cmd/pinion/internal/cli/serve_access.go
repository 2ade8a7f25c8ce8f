package cli

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"

	"github.com/spf13/pflag"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/access"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/reread"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/server"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
)

// accessFlags say who may connect to a server. All files are read again when they change.
type accessFlags struct {
	tokens                 string
	tlsCert, tlsKey, tlsCA string
}

func (f *accessFlags) register(fs *pflag.FlagSet) {
	fs.StringVar(&f.tokens, "tokens-file", "",
		"`file` with the named tokens of callers, their rights, templates and limits; pinion "+
			"token makes entries")
	fs.StringVar(&f.tlsCert, "tls-cert", "",
		"`file` with the certificate of the server and those in between, for TLS on TCP")
	fs.StringVar(&f.tlsKey, "tls-key", "", "`file` with the key of --tls-cert")
	fs.StringVar(&f.tlsCA, "tls-client-ca", "",
		"`file` with the authorities of which callers on TCP must have a certificate")
}

// hasTLS reports whether TCP is encrypted.
func (f *accessFlags) hasTLS() bool { return f.tlsCert != "" }

func (f *accessFlags) check() error {
	switch {
	case (f.tlsCert == "") != (f.tlsKey == ""):
		return flags.Errorf("--tls-cert and --tls-key need each other")
	case f.tlsCA != "" && !f.hasTLS():
		return flags.Errorf("--tls-client-ca needs --tls-cert and --tls-key")
	}
	return nil
}

// callers returns the options for all tokens.
func (f *accessFlags) callers(hidden secrets, log *slog.Logger) (opts []server.Option, err error) {
	if hidden.token != "" {
		opts = append(opts, server.WithToken(hidden.token))
	}
	if hidden.operator != "" {
		opts = append(opts, server.WithOperatorToken(hidden.operator))
	}
	if f.tokens == "" {
		return opts, nil
	}
	list, err := reread.New(func() (access.List, error) { return access.Read(f.tokens) },
		keepReport(log, "--tokens-file"), f.tokens)
	if err != nil {
		return nil, flags.Errorf("--tokens-file: %w", err)
	}
	return append(opts, server.WithCallers(list.Get)), nil
}

// keepReport logs what is wrong with a file that was read again.
func keepReport(log *slog.Logger, flag string) func(error) {
	return func(err error) {
		log.Error(fmt.Sprintf("%s is wrong, and what it had before stays in force: %v", flag, err))
	}
}

// secure encrypts the connections of listeners on TCP, if there is a certificate.
func (f *accessFlags) secure(listeners []net.Listener, log *slog.Logger) error {
	if !f.hasTLS() {
		return nil
	}
	paths := []string{f.tlsCert, f.tlsKey}
	if f.tlsCA != "" {
		paths = append(paths, f.tlsCA)
	}
	config, err := reread.New(f.config, keepReport(log, "--tls-cert"), paths...)
	if err != nil {
		return flags.Errorf("--tls-cert: %w", err)
	}
	for i, l := range listeners {
		if l.Addr().Network() == "tcp" {
			listeners[i] = tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12,
				GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
					return config.Get(), nil
				}})
		}
	}
	return nil
}

// config reads the certificates.
func (f *accessFlags) config() (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(f.tlsCert, f.tlsKey)
	if err != nil {
		return nil, err
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert},
		NextProtos: []string{"h2", "http/1.1"}}
	if f.tlsCA == "" {
		return c, nil
	}
	text, err := os.ReadFile(f.tlsCA)
	if err != nil {
		return nil, err
	}
	c.ClientCAs, c.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !c.ClientCAs.AppendCertsFromPEM(text) {
		return nil, errors.New(f.tlsCA + " has no certificate in PEM form")
	}
	return c, nil
}
