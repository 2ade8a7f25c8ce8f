// Package storetest is the conformance suite for image stores, with archives and images to load,
// and a fake engine: a real HTTP server on a unix socket that implements the part of the Docker
// Engine API that Pinion uses. The suite runs against the fake, against real engines, against the
// OCI layout and against [Memory], a store for the tests of packages that use one, so that the four
// behave alike.
//
// The fakes do not unpack layers, run containers or build.
package storetest
