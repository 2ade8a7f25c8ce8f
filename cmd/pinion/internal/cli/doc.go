// Package cli is the command line: flags, exit codes and printing, one file a verb.
//
// It promises that stdout carries results and nothing else, that what it prints holds neither
// control characters nor the credentials it was given, and that a call which is refused for its
// arguments has touched nothing. What a user of the library would miss does not belong here.
package cli
