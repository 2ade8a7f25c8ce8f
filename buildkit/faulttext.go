package buildkit

import (
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/internal/lazy"
)

// The patterns are compiled at their first use: only a failed build needs them.
var (
	// imageStep has the names of vertices that only ask a registry.
	imageStep = lazy.Regexp(`^(\[[^\]]*\] )?` +
		`(load metadata for|resolve image config for|FROM) |^docker-image://`)
	// addStep has the names of vertices that download what an ADD names.
	addStep = lazy.Regexp(`^(\[[^\]]*\] ADD (--\S+ )*)?(https?|git|ssh)://|` +
		`^\[[^\]]*\] ADD (--\S+ )*git@`)
	// noGitDir has the error of a COPY from .git, as of today and of Docker 20.10.
	noGitDir = lazy.Regexp(`/\.git(/[^":]*)?"?: (not found|no such file or directory)$`)
	// lastingFault has what registries answer about an image that is not there or not for the
	// builder, and what is wrong with an image that is there. BuildKit proposes the name of a stage
	// behind that.
	lastingFault = lazy.Regexp(`: not found( \(did you mean .*\?\))?$|authorization ` +
		`failed$|: (401|403|410|451) |\b(access denied|denied:|unauthorized:)|` +
		`no match for platform|invalid reference|\bmedia type .* is no longer supported|` +
		`schema 1 has been removed|encountered unknown type .*; children may not be fetched`)
	// oddAnswer has what they say of a page in the place of a manifest: a login, or a proxy's.
	oddAnswer = lazy.Regexp(`\(text/html[^)]*\) from remote: not found$`)
	// layerFault has what they say if a registry does not give a layer, which is fetched when the
	// first step needs it, whatever that step is, or after the last one.
	layerFault = lazy.Regexp(`httpReadSeeker: failed open: (unexpected status|failed to do ` +
		`request: )|: short read: expected \d+ bytes but got \d+: unexpected EOF$`)
	// passingFault has what BuildKit 0.8 to 0.34 say if a server answers 408, 425, 429 or 5xx, or
	// nothing that can be used. A proxy's refusal to connect is its status text alone.
	passingFault = lazy.Regexp(`(invalid response status|unexpected status.*:)` +
		` (408|425|429|5\d\d)\b|` +
		`(connection refused|connection reset by peer|no such host|server misbehaving|` +
		`i/o timeout|connection timed out|operation timed out|use of closed network connection|` +
		`network is unreachable|no route to host|broken pipe|EOF|TLS handshake timeout|` +
		`[tT]emporary failure in name resolution|deadline exceeded|` +
		`\(Client.Timeout exceeded while awaiting headers\)|` +
		`timeout awaiting response headers|stopped after 10 redirects|` +
		`: (Bad Gateway|Service Unavailable|Gateway Timeout)|` +
		`server gave HTTP response to HTTPS client)$|: (tls|x509): |\btoomanyrequests:|` +
		`: malformed HTTP |: stream error: stream ID |: http2: `)
	// gitFault has what git 2.50 and curl say of a server that does not answer for now. BuildKit
	// passes it on as git's output.
	gitFault = lazy.Regexp(`Could not resolve (host|proxy|hostname)\b|Failed to connect to |` +
		`Connection (refused|reset by peer|timed out)|Operation timed out|` +
		`Empty reply from server|Received HTTP/0\.9 when not allowed|` +
		`Received HTTP code \d+ from proxy|HTTP/2 stream \d+ was not closed cleanly|` +
		`unexpected disconnect|The requested URL returned error: (408|425|429|5\d\d)\b|` +
		`RPC failed; (curl|HTTP (429|5\d\d))\b|early EOF|the remote end hung up unexpectedly`)
	// gitTLS has what git and curl say of a server whose certificate they don't accept.
	gitTLS = lazy.Regexp(`server certificate verification failed|SSL certificate problem|` +
		`(SSL|TLS|gnutls_handshake).* (error|failed)`)
	// stepExhausted has what programs print if the kernel gives them no disk or memory, and
	// compilers if it killed a part of them; stepKilled has what shells print of a killed program.
	stepExhausted = lazy.Regexp(`No space left on device|Disk quota exceeded|` +
		`Cannot allocate memory|Killed signal terminated program`)
	stepKilled = lazy.Regexp(`(^|\s)Killed(\s|$)`)
)

// unavailable reports whether the vertex of that name failed since a server was not available.
func unavailable(vertex, text string) bool {
	switch {
	case layerFault().MatchString(text):
		return !lastingFault().MatchString(text)
	case vertex == "", strings.Contains(vertex, "] RUN "):
		return false
	case imageStep().MatchString(vertex):
		return oddAnswer().MatchString(text) || !lastingFault().MatchString(text)
	case strings.HasSuffix(text, "exit status 128"): // git's, for an ADD of a repository
		return gitFault().MatchString(text) || gitTLS().MatchString(text)
	}
	return passingFault().MatchString(text)
}
