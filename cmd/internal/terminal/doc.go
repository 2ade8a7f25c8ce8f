// Package terminal owns stderr while BuildKit's progress is shown there.
//
// It promises that a log line and the display never tear each other apart: where the display
// redraws the screen, lines wait until it is done, and so do results that go to the same screen by
// way of stdout; where it writes lines, they stand between its own. The display exists only once
// there is something to show. What is logged comes out without control characters and without the
// secrets that the mask knows.
//
// It does not make BuildKit's own messages harmless: whoever forwards them does.
package terminal
