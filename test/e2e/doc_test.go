// Package e2e_test is the end-to-end suite: Pinion as a library and as a command, on real git
// servers, builders, engines and registries.
//
// Each test has a scene of its own: repositories, a proxy before the git server and one before the
// engine (they count and gate what Pinion and the builder ask), a cache folder and an environment.
// Parts behind the proxies are shared by all tests, unless a test harms them.
package e2e_test
