// Package server serves an orchestrator over HTTP, for programs in any language. openapi.yaml
// describes the interface.
//
// It guarantees that
//   - every input is bounded in size and in time;
//   - a caller can withdraw only its own interest in a build;
//   - responses contain neither credentials nor control characters;
//   - shutdown is graceful: running builds get time to end, and an event stream is closed after its
//     last event.
//
// It does not guarantee isolation between callers. Every caller that can open the socket, or has
// the token, may request any template of the catalogue and read all builds.
package server
