// Package serve is the program of the managed BuildKit: BuildKit's own packages, the control
// service beside BuildKit's API, and the first process of the namespaces in which both run. Package
// daemon starts it, and documents what it guarantees.
package serve
