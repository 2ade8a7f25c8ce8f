// Package access says who may do what on a server: callers, and the file that names them.
//
// It keeps digests of tokens, never the tokens.
package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"slices"

	"golang.org/x/time/rate"
)

// Right is what a caller may do.
type Right string

// The rights. Each allows just what it says; whoever may build should as a rule also see.
const (
	// See: read templates, images, builds, sizes and checks.
	See Right = "see"
	// Build: request images, and withdraw from what the caller requested.
	Build Right = "build"
	// Cancel: stop the builds of others.
	Cancel Right = "cancel"
	// Prune: remove images.
	Prune Right = "prune"
)

// Rights returns all rights.
func Rights() []Right { return []Right{See, Build, Cancel, Prune} }

// Caller is somebody with a token.
type Caller struct {
	Name   string
	Rights []Right
	// Templates are those that the caller may use and see; none means all.
	Templates []string

	digest [sha256.Size]byte
	// limit bounds the caller's requests; nil does not.
	limit *rate.Limiter
}

// Everybody is the caller of a server without tokens.
func Everybody() *Caller { return &Caller{Rights: Rights()} }

// NewCaller returns a caller with a token and without a limit, for all templates.
func NewCaller(name, token string, rights ...Right) *Caller {
	return &Caller{Name: name, Rights: rights, digest: sha256.Sum256([]byte(token))}
}

// Key tells callers with different tokens apart. It is no secret.
func (c *Caller) Key() string { return hex.EncodeToString(c.digest[:]) }

// May reports whether the caller has a right.
func (c *Caller) May(r Right) bool { return slices.Contains(c.Rights, r) }

// Sees reports whether the caller may use a template.
func (c *Caller) Sees(template string) bool {
	return len(c.Templates) == 0 || slices.Contains(c.Templates, template)
}

// SeesAll reports whether the caller may use all templates.
func (c *Caller) SeesAll() bool { return len(c.Templates) == 0 }

// Take counts a request, and reports whether the caller may make it now.
func (c *Caller) Take() bool { return c.limit == nil || c.limit.Allow() }

// List has the callers of a server.
type List []*Caller

// Find returns the caller with a token, or nil.
func (l List) Find(token string) (found *Caller) {
	sum := sha256.Sum256([]byte(token))
	for _, c := range l { // all of them, so that the time tells nothing
		if subtle.ConstantTimeCompare(sum[:], c.digest[:]) == 1 {
			found = c
		}
	}
	return found
}

// Keyed returns the caller with that [Caller.Key], or nil.
func (l List) Keyed(key string) *Caller {
	i := slices.IndexFunc(l, func(c *Caller) bool { return c.Key() == key })
	if i < 0 {
		return nil
	}
	return l[i]
}
