// Package house holds the tests of how the project is built: which package may import which, what
// the root package exports, and how large its files are. They need nothing but Go.
//
// The tests read what `go list` reports, and cover the product on Linux, macOS and Windows. They
// do not see imports of test files.
package house
