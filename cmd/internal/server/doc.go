// Package server offers an orchestrator over HTTP, for programs in any language.
//
// It promises that every input is bounded in size and time, that a caller can withdraw its own
// interest in a build and nobody else's, that what it answers holds no credential and no control
// character, and that it ends in good order: builds under way may end, and event streams are closed
// after their last event. openapi.yaml describes the interface.
//
// It does not tell callers apart beyond that: whoever may use the socket, or has the token, may ask
// for any template of the catalogue and read all builds.
package server
