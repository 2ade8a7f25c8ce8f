//go:build !unix

package buildkit

// nonBlocking is not needed, since a folder has no pipes here.
const nonBlocking = 0
