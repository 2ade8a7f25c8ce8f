// Package git holds the values that name a place in a Git server: a Remote, a
// Ref, a Revision and a sub-directory.
//
// The guarantee: a value of these types that isn't the zero value has passed
// an allow-list, so it can be put into a URL, a protocol line or a BuildKit
// attribute as it is. Nothing here talks to a server: that a Remote, a Ref or a
// Revision is well formed says nothing about whether it exists.
package git
