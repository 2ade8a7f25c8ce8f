// Package serve is the managed BuildKit: BuildKit's own packages, a service of ours beside its API,
// and the first process of the namespaces that they run in. Package daemon says what it promises,
// and starts it.
package serve
