package flags

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
)

// tlsFlags have the names and meanings of buildctl's flags.
type tlsFlags struct {
	serverName, caCert, cert, key, dir string
}

func (t *tlsFlags) register(fs *pflag.FlagSet) {
	fs.StringVar(&t.serverName, "tlsservername", "",
		"`name` to check buildkitd's certificate against")
	fs.StringVar(&t.caCert, "tlscacert", "", "`file` with the CA certificate for buildkitd")
	fs.StringVar(&t.cert, "tlscert", "", "`file` with the client certificate for buildkitd")
	fs.StringVar(&t.key, "tlskey", "", "`file` with the client key for buildkitd")
	fs.StringVar(&t.dir, "tlsdir", "",
		"`folder` with ca.pem, cert.pem and key.pem (or ca.crt, tls.crt and tls.key) for buildkitd")
}

func (t *tlsFlags) files() (buildkit.TLS, error) {
	tls := buildkit.TLS{CACert: t.caCert, Cert: t.cert, Key: t.key, ServerName: t.serverName}
	if t.dir != "" {
		if t.caCert != "" || t.cert != "" || t.key != "" {
			return tls, Errorf("--tlsdir excludes --tlscacert, --tlscert and --tlskey")
		}
		for _, f := range []struct {
			to    *string
			names []string
		}{
			{&tls.CACert, []string{"ca.pem", "ca.crt"}},
			{&tls.Cert, []string{"cert.pem", "tls.crt"}},
			{&tls.Key, []string{"key.pem", "tls.key"}},
		} {
			var err error
			if *f.to, err = firstFile(t.dir, f.names...); err != nil {
				return tls, err
			}
		}
	}
	if (tls.Cert == "") != (tls.Key == "") {
		return tls, Errorf("--tlscert and --tlskey go together")
	}
	return tls, nil
}

// firstFile returns the path of the first name that exists in dir.
func firstFile(dir string, names ...string) (string, error) {
	for _, name := range names {
		path := filepath.Join(dir, name)
		switch _, err := os.Stat(path); {
		case err == nil:
			return path, nil
		case !errors.Is(err, fs.ErrNotExist):
			return "", Errorf("--tlsdir: %w", err)
		}
	}
	return "", Errorf("--tlsdir %s contains neither %s nor %s", dir, names[0], names[1])
}
