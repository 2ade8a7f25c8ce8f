// Package outbox sends messages to another server by HTTP, in order, without making anybody wait.
//
// It guarantees that
//   - [Box.Put] never blocks, and that the memory of messages that wait is bounded;
//   - a message goes to its own URL and to no other: no redirect is followed;
//   - each message ends within minutes, sent or given up;
//   - a server that does not take messages costs one line in the log until it takes one again.
//
// It does not guarantee that a message arrives, nor that it arrives once.
package outbox
