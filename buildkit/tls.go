package buildkit

import "github.com/moby/buildkit/client"

// TLS names the files for a tcp:// builder. The zero value means no TLS.
type TLS struct {
	CACert, Cert, Key string
	// ServerName replaces the host's name in the check of the certificate.
	ServerName string
}

func (t TLS) options() (opts []client.ClientOpt) {
	switch {
	case t.CACert != "":
		opts = append(opts, client.WithServerConfig(t.ServerName, t.CACert))
	case t != TLS{}:
		opts = append(opts, client.WithServerConfigSystem(t.ServerName))
	}
	if t.Cert != "" || t.Key != "" {
		opts = append(opts, client.WithCredentials(t.Cert, t.Key))
	}
	return opts
}
