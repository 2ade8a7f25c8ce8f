package git

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	urlKind      = "repository URL"
	gitSuffix    = ".git"
	maxRemoteLen = 2048
)

// Remote is the URL of one repository, kept as parts that passed an allow-list.
// It is comparable; the zero value is no remote. It never holds a credential.
type Remote struct {
	scheme string // "https" or "http"
	host   string // host[:port], lower case
	path   string // without the leading slash and ".git", not escaped
	// noSuffix makes GitURL the URL without ".git".
	noSuffix bool
}

// RemoteOption loosens what ParseRemote accepts.
type RemoteOption func(*remoteRules)

type remoteRules struct{ insecureHTTP bool }

// AllowInsecureHTTP lets http through for any host. By default only loopback
// hosts (localhost, 127.0.0.0/8, ::1) may be asked without TLS.
func AllowInsecureHTTP() RemoteOption {
	return func(r *remoteRules) { r.insecureHTTP = true }
}

// ParseRemote parses an https URL (http for loopback) of a repository, with or
// without ".git". Everything that could be smuggled into a URL is an
// ErrInvalid: userinfo, query, fragment, control characters, other schemes,
// scp-style addresses. What an escape in the path stands for is held against the
// same rules. The error never repeats userinfo.
func ParseRemote(raw string, opts ...RemoteOption) (Remote, error) {
	var rules remoteRules
	for _, opt := range opts {
		opt(&rules)
	}
	if reason := rawFault(raw); reason != "" {
		return Remote{}, invalid(urlKind, raw, reason)
	}
	u, err := url.Parse(raw)
	if err != nil {
		// The parser's own error repeats the URL, userinfo included.
		return Remote{}, invalid(urlKind, raw, "it can't be parsed as a URL")
	}
	r := Remote{scheme: u.Scheme, host: strings.ToLower(u.Host), path: trimPath(u.Path)}
	for _, fault := range []string{schemeFault(u), hostFault(u), rules.httpFault(u),
		pathFault(r.path)} {
		if fault != "" {
			return Remote{}, invalid(urlKind, raw, fault)
		}
	}
	return r, nil
}

// rawFault checks the bytes before any parser has interpreted them.
func rawFault(raw string) string {
	if raw == "" {
		return "it is empty"
	}
	if len(raw) > maxRemoteLen {
		return "it is longer than 2048 bytes"
	}
	for i := range len(raw) {
		switch c := raw[i]; {
		case c <= ' ' || c >= 0x7f:
			return "only printable ASCII without spaces is allowed (write an international host " +
				"name as xn--...)"
		case c == '#' || c == '?':
			return `"#" and "?" aren't allowed: branch and subdirectory aren't parts of the URL`
		case c == '\\':
			return "write slashes as /"
		}
	}
	for _, escape := range []string{"%2f", "%25", "%5c"} {
		if strings.Contains(strings.ToLower(raw), escape) {
			return "an escaped slash, backslash or % isn't allowed"
		}
	}
	if !strings.Contains(raw, "://") {
		return "give an https:// URL; scp-style addresses and git's transport::address aren't taken"
	}
	return ""
}

func trimPath(p string) string {
	p = strings.TrimPrefix(p, "/")
	p = strings.TrimSuffix(p, "/")
	return strings.TrimSuffix(p, gitSuffix)
}

func schemeFault(u *url.URL) string {
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return "only https is allowed"
	case u.User != nil || strings.Contains(u.Host, "@"):
		return "it carries a user name or a password; give the credential as a token instead"
	}
	return ""
}

func (r remoteRules) httpFault(u *url.URL) string {
	if u.Scheme == "http" && !r.insecureHTTP && !IsLoopback(u.Hostname()) {
		return ErrPlainHTTP.Error()
	}
	return ""
}

// IsLoopback reports whether a host, a name or an IP address without brackets, is this machine. No
// name is looked up: of names, localhost alone is.
func IsLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

func hostFault(u *url.URL) string {
	host, port := u.Hostname(), u.Port()
	if host == "" {
		return "it has no host"
	}
	if strings.HasPrefix(u.Host, "[") {
		if addr, err := netip.ParseAddr(host); err != nil || !addr.Is6() {
			return "the address in brackets isn't IPv6"
		}
	} else if !isHostName(host) {
		return "the host name isn't valid"
	}
	if n, err := strconv.ParseUint(port, 10, 16); port != "" && (err != nil || n == 0) ||
		strings.HasSuffix(u.Host, ":") {
		return "the port isn't a number from 1 to 65535"
	}
	return ""
}

func isHostName(host string) bool {
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		isForeign := func(r rune) bool { return !isAlnum(r) && r != '-' && r != '_' }
		if strings.ContainsFunc(label, isForeign) {
			return false
		}
	}
	return true
}

func isAlnum(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

func pathFault(p string) string {
	if p == "" {
		return "it names no repository"
	}
	if strings.HasSuffix(p, gitSuffix) {
		return `the repository's name can't end in ".git" twice`
	}
	for part := range strings.SplitSeq(p, "/") {
		switch {
		case part == "":
			return "a part of the path is empty"
		case part[0] == '-':
			return `no part of the path may start with "-"`
		case part == "." || part == "..":
			return `"." and ".." aren't allowed in the path`
		case !utf8.ValidString(part) || strings.ContainsFunc(part, isForbiddenInPath) ||
			strings.TrimSpace(part) != part:
			return "only letters, digits, %20 between them, and any of -._~+@,&!'() are allowed " +
				"in the path"
		}
	}
	return ""
}

// isForbiddenInPath reports whether a character has a meaning to BuildKit, a shell
// or git's configuration, or can't be seen.
func isForbiddenInPath(r rune) bool {
	return !unicode.In(r, unicode.Letter, unicode.Mark, unicode.Number) &&
		!strings.ContainsRune(" -._~+@,&!'()", r)
}

// String returns the URL as people write it, without ".git". There is one way to
// escape a path, which BuildKit writes as well.
func (r Remote) String() string {
	if r.IsZero() {
		return ""
	}
	return (&url.URL{Scheme: r.scheme, Host: r.host, Path: "/" + r.path}).String()
}

// GitURL returns the URL that the server is asked at: with ".git", unless the
// remote is one [Remote.WithoutSuffix]. BuildKit takes an http(s) context without
// it for a plain download and loses the pin; its git source does not.
func (r Remote) GitURL() string {
	if r.IsZero() {
		return ""
	}
	if r.noSuffix {
		return r.String()
	}
	return r.String() + gitSuffix
}

// WithoutSuffix returns the remote of a server that has the repository at the URL
// without ".git" alone. Only GitURL differs.
func (r Remote) WithoutSuffix() Remote {
	r.noSuffix = !r.IsZero()
	return r
}

// HasSuffix reports whether GitURL ends in ".git".
func (r Remote) HasSuffix() bool { return !r.IsZero() && !r.noSuffix }

// Scheme returns "https" or "http".
func (r Remote) Scheme() string { return r.scheme }

// Host returns host[:port] in lower case. The port is there if it was given,
// which is how BuildKit names a secret: GIT_AUTH_TOKEN.<host[:port]>.
func (r Remote) Host() string { return r.host }

// Path returns the path without the leading slash and ".git", and not escaped:
// "owner/repo", on a server below a sub-path "sub/owner/repo".
func (r Remote) Path() string { return r.path }

// IsZero reports whether r is the zero value, which names no repository.
func (r Remote) IsZero() bool { return r == Remote{} }
