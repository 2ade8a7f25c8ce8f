// Package cli is the command line. It has one file for each verb; package flags has the shared
// flags, and package output writes the results.
//
// It guarantees that stdout carries only results, that its output contains neither control
// characters nor the credentials that it was given, and that a call with wrong arguments has no
// effect. It adds nothing that a user of the library would miss.
package cli
