package buildx

import (
	"fmt"
	"path/filepath"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// The drivers whose nodes can be reached by what the files say. Nodes of other drivers can be
// reached only through buildx.
const (
	DriverContainer = "docker-container"
	DriverRemote    = "remote"
)

// Builder is a builder of buildx with all its nodes.
type Builder struct {
	Name   string
	Driver string
	Nodes  []Node
}

// Node is one BuildKit of a builder.
type Node struct {
	Name string
	// Endpoint is a Docker context's name or a Docker host. For [DriverRemote] it is the address of
	// a buildkitd.
	Endpoint string
	// Platforms are those that the user assigned to the node; empty if the node decides.
	Platforms []ocispecs.Platform
	// Options are the driver's options.
	Options map[string]string `json:"DriverOpts"`
}

// Container returns the name of the node's container, for [DriverContainer].
func (n Node) Container() string { return "buildx_buildkit_" + n.Name }

// TLSOptions are the options of [DriverRemote] for TLS: the absolute paths of files, and the name
// in the server's certificate. The zero value means no TLS.
type TLSOptions struct{ CACert, Cert, Key, ServerName string }

// TLS returns the node's options for TLS. It fails for options that buildx refuses too.
func (n Node) TLS() (TLSOptions, error) {
	var t TLSOptions
	for name, value := range n.Options {
		to := map[string]*string{"cacert": &t.CACert, "cert": &t.Cert, "key": &t.Key,
			"servername": &t.ServerName}[name]
		switch {
		case to == nil: // no option for TLS
		case name != "servername" && !filepath.IsAbs(value):
			return TLSOptions{}, fmt.Errorf("node %s: driver option %s=%s is no absolute path",
				n.Name, name, value)
		default:
			*to = value
		}
	}
	if t != (TLSOptions{}) && (t.CACert == "" || (t.Cert == "") != (t.Key == "")) {
		return TLSOptions{}, fmt.Errorf(
			"node %s: TLS needs the driver option cacert, and cert and key together", n.Name)
	}
	return t, nil
}
