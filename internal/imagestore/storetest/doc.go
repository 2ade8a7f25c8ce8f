// Package storetest is the conformance suite for image stores, the archives
// that it loads, and a fake engine: a real HTTP server on a unix socket that
// speaks the part of the Docker Engine API that Pinion uses. The suite runs
// against the fake and against real engines, which is what keeps the fake
// honest, and against the OCI layout, which has to be their equal.
//
// The fake does not unpack layers, run containers or build.
package storetest
