package buildx

import (
	"fmt"
	"path/filepath"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// The drivers that have something in the files about how to reach them. Of the others buildx alone
// knows.
const (
	DriverContainer = "docker-container"
	DriverRemote    = "remote"
)

// Builder is one of buildx's, with all its nodes.
type Builder struct {
	Name   string
	Driver string
	Nodes  []Node
}

// Node is one BuildKit of a builder.
type Node struct {
	Name string
	// Endpoint is a Docker context's name or a Docker host; for [DriverRemote] the address of a
	// buildkitd.
	Endpoint string
	// Platforms are those that the node is meant for; empty if whoever made it left that to the
	// node.
	Platforms []ocispecs.Platform
	// Options are the driver's.
	Options map[string]string `json:"DriverOpts"`
}

// Container is the name of the node's container, for [DriverContainer].
func (n Node) Container() string { return "buildx_buildkit_" + n.Name }

// TLS are the files of a remote node, all empty for none.
type TLS struct{ CACert, Cert, Key, ServerName string }

// TLS reads the options of [DriverRemote]. The error is about what buildx refuses too.
func (n Node) TLS() (TLS, error) {
	var t TLS
	for name, value := range n.Options {
		to := map[string]*string{"cacert": &t.CACert, "cert": &t.Cert, "key": &t.Key,
			"servername": &t.ServerName}[name]
		switch {
		case to == nil: // about what buildx does with an image
		case name != "servername" && !filepath.IsAbs(value):
			return TLS{}, fmt.Errorf("node %s: driver option %s=%s is no absolute path", n.Name,
				name, value)
		default:
			*to = value
		}
	}
	if t != (TLS{}) && (t.CACert == "" || (t.Cert == "") != (t.Key == "")) {
		return TLS{},
			fmt.Errorf("node %s: TLS needs the driver option cacert, and cert and key together",
				n.Name)
	}
	return t, nil
}
