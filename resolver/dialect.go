package resolver

import (
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// Dialect is how a repository is asked: what an earlier look-up learned of its server. The zero
// value is the way that most servers understand. A dialect is no more than a hint: a wrong one
// costs requests, and never changes the answer.
type Dialect struct {
	Format   git.ObjectFormat // "" is SHA1
	NoSuffix bool             // the repository is at its URL without ".git"
	Protocol Protocol
}

// Protocol is what a server speaks.
type Protocol string

// The protocols. Their values are the words of [Dialect.String].
const (
	// ProtocolV2 is version 2 with the argument unborn (git 2.31 and later).
	ProtocolV2 Protocol = ""
	// ProtocolV2Plain is version 2 without it (JGit, older gits).
	ProtocolV2Plain Protocol = "no-unborn"
	// ProtocolV1 is version 0 or 1, in which the server lists all refs before it is asked.
	ProtocolV1 Protocol = "v1"
	// ProtocolAPI is none that git has: the server takes no POST, and the forge's API tells.
	ProtocolAPI Protocol = "api"
	// ProtocolDumb is a folder of files that git update-server-info keeps up.
	ProtocolDumb Protocol = "dumb"
)

const noSuffixWord = "no-suffix"

// String returns the dialect in words for a record, without the object format, which the commit's
// name shows. It is "" for most servers.
func (d Dialect) String() string {
	var words []string
	if d.NoSuffix {
		words = append(words, noSuffixWord)
	}
	if d.Protocol != ProtocolV2 {
		words = append(words, string(d.Protocol))
	}
	return strings.Join(words, " ")
}

// ParseDialect reads what [Dialect.String] returned. Words that it does not know are left out.
func ParseDialect(s string) Dialect {
	var d Dialect
	for word := range strings.FieldsSeq(s) {
		switch p := Protocol(word); {
		case word == noSuffixWord:
			d.NoSuffix = true
		case p == ProtocolV2Plain || p == ProtocolV1 || p == ProtocolAPI || p == ProtocolDumb:
			d.Protocol = p
		}
	}
	return d
}

// at returns the remote in the form that the dialect names.
func (d Dialect) at(remote git.Remote) git.Remote {
	if d.NoSuffix {
		return remote.WithoutSuffix()
	}
	return remote
}
