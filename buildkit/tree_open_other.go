//go:build !unix

package buildkit

// nonBlocking: a folder has no pipes here.
const nonBlocking = 0
