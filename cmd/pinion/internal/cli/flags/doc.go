// Package flags has the flags, arguments and environment variables that several verbs share. Its
// checks touch neither the network nor the image store; every failed check is an [Error].
package flags
