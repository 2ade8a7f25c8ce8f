// Package registry speaks to the registries of images for the image stores: it knows the Docker
// config's credentials, asks what a name stands for, and pushes in bounded pieces.
//
// It guarantees:
//   - A credential goes to the registry that it is for, and to the token server that this registry
//     names, over TLS. Plain HTTP is spoken to registries on loopback alone, and by them to
//     loopback alone.
//   - After a push without an error the registry shows the digest that was to be pushed.
//   - No request of a push is larger than a piece, unless the registry takes no pieces.
//   - Errors of registries are *imagestore.Error without credentials and without HTML.
//
// It does not guarantee that requests take the way of an engine's: mirrors, certificates and
// insecure registries of an engine's configuration do not apply.
package registry
