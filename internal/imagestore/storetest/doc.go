// Package storetest is the conformance suite for image stores, with archives and images to load,
// and a fake engine: a real HTTP server on a unix socket that implements the part of the Docker
// Engine API that Pinion uses. The suite runs against the fake, against real engines and against
// the OCI layout, so that the three behave alike.
//
// The fake does not unpack layers, run containers or build.
package storetest
