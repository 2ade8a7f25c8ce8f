package docker

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"

	"github.com/docker/cli/cli/connhelper"
	"github.com/docker/cli/cli/context/docker"
	"github.com/moby/moby/client"
)

// transportOptions returns the options that make the client reach the target. docker.Endpoint has a
// method for that, but it takes the API version from the process's environment.
func transportOptions(target docker.Endpoint) ([]client.Opt, error) {
	helper, err := connhelper.GetConnectionHelper(target.Host)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if helper != nil {
		return []client.Opt{
			client.WithHTTPClient(
				&http.Client{Transport: &http.Transport{DialContext: helper.Dialer}},
			),
			client.WithHost(helper.Host),
			// WithHost has set the dialer of a plain host.
			client.WithDialContext(helper.Dialer),
		}, nil
	}
	opts := []client.Opt{client.WithHost(target.Host)}
	if !strings.HasPrefix(target.Host, "tcp://") {
		return opts, nil
	}
	config, err := tlsConfig(target)
	if config == nil || err != nil {
		return opts, err
	}
	httpClient := &http.Client{Transport: &http.Transport{TLSClientConfig: config},
		CheckRedirect: client.CheckRedirect}
	return append([]client.Opt{client.WithHTTPClient(httpClient)}, opts...), nil
}

// tlsConfig is nil for a target without TLS.
func tlsConfig(target docker.Endpoint) (*tls.Config, error) {
	if target.TLSData == nil && !target.SkipTLSVerify {
		return nil, nil
	}
	config := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: target.SkipTLSVerify, //nolint:gosec // the Docker context says so
	}
	if target.TLSData == nil {
		return config, nil
	}
	if ca := target.TLSData.CA; ca != nil {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(ca) {
			return nil, fmt.Errorf("%w: ca.pem holds no certificate", ErrConfig)
		}
	}
	if target.TLSData.Cert != nil && target.TLSData.Key != nil {
		pair, err := tls.X509KeyPair(target.TLSData.Cert, target.TLSData.Key)
		if err != nil {
			return nil, fmt.Errorf("%w: cert.pem and key.pem: %w", ErrConfig, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
