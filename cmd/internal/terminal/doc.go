// Package terminal owns stderr while BuildKit's progress is shown on it.
//
// It guarantees that log lines and the display never corrupt each other. While the display redraws
// the screen, log lines wait until it ends, and so do results on a stdout that is the same screen.
// If the display writes lines, log lines appear between them. The display starts with the first
// progress message. Log lines contain no control characters and none of the mask's secrets.
//
// It does not sanitize BuildKit's own messages. Their sender does.
package terminal
