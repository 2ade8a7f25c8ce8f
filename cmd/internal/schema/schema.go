// Package schema holds the version of the JSON that the command line and the server write.
//
// The number rises when a reader of the older form would misunderstand the newer one. A new member
// does not raise it.
package schema

// Version is the value of "schema" in every document.
const Version = 1
