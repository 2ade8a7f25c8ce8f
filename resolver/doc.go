// Package resolver turns a template's name into the place it comes from: it
// decides between pulling and building, holds the catalogue of templates with
// their credentials and platforms, and asks the Git server for the commit to
// build.
//
// The guarantees: a name outside the catalogue and a malformed URL are refused
// before any input or output; a commit is only ever returned if the server
// named it for exactly the ref asked for, in answer to this very look-up, and
// never from a cache or after a redirect; a credential is sent to the host it
// is for and to no other, and appears in no error.
//
// What isn't guaranteed: that the commit still exists a moment later, or that
// the server is honest. Which addresses a URL's host resolves to isn't checked
// either: the catalogue comes from the operator, and BuildKit resolves names
// for itself.
package resolver
