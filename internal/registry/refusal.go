package registry

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/distribution/reference"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/lazy"
)

// Refusal is what the report of a failed pull or push means.
type Refusal struct {
	Cause     error // nil if it is not known
	Situation errdef.Situation
	// OfName reports whether a push may have been refused because of its name alone.
	OfName bool
}

// refusals are the answers of registries by their words, the most precise first. The words are the
// error codes of the OCI distribution spec and their descriptions, what registries say about tags
// that cannot be moved, and what Go's net and Docker's registry client say.
func refusals() []struct {
	Refusal
	words []string
} {
	return []struct {
		Refusal
		words []string
	}{
		// What a proxy says to a request that is larger than it allows.
		{Refusal{nil, errdef.RegistryBodyLimit, false},
			[]string{"413 request entity too large", "413 payload too large",
				"413 content too large", "request entity too large"}},
		// ECR, Harbor, Artifactory, Artifact Registry, Nexus, GitLab, Quay, Docker Hub and ACR.
		{Refusal{imagestore.ErrTagFixed, errdef.RegistryTagFixed, true},
			[]string{"immutable", "immutability", "overwrit", "tag invalid", "tag_invalid",
				"cannot be updated", "does not allow updating", "protected tag", "tag is protected",
				"tag is locked", "operation is disallowed"}},
		{Refusal{imagestore.ErrUnauthorized, errdef.RegistryUnauthorized, false},
			[]string{"unauthorized", "no basic auth credentials", "authentication required",
				"authorization failed", "incorrect username or password", "insufficient_scope"}},
		// A blob that the registry took and does not have: not the name is wrong.
		{Refusal{}, []string{"quota", "blob unknown", "blob upload unknown", "blob_unknown",
			"blob_upload_unknown"}},
		{Refusal{imagestore.ErrUnauthorized, errdef.RegistryUnauthorized, true},
			[]string{"denied", "403 forbidden"}},
		{Refusal{imagestore.ErrNotFound, errdef.RegistryImageMissing, false},
			[]string{"manifest unknown", "name unknown", "not found", "no matching manifest"}},
		{Refusal{imagestore.ErrUnavailable, errdef.RegistryUnreachable, false},
			[]string{"dial tcp", "connection refused", "connection reset", "no such host",
				"i/o timeout", "tls:", "x509:", "client.timeout", "context deadline exceeded",
				"unexpected http status: 5", "unexpected status: 5",
				"503 service unavailable", "502 bad gateway", ": eof", "toomanyrequests"}},
	}
}

// RefusalOf classifies the text of a failed pull or push of ref. An engine answers 404 for "denied"
// and 500 for a refused login and for a dead network alike, so the text decides before the status
// does. The status is the registry's, or 0 if only the text may have it.
func RefusalOf(err error, status int, ref string) Refusal {
	text := strings.ToLower(withoutName(err.Error(), ref))
	for _, known := range refusals() {
		for _, word := range known.words {
			if strings.Contains(text, word) {
				return known.Refusal
			}
		}
	}
	if status == 0 {
		status = statusIn(text)
	}
	switch {
	case status == http.StatusUnauthorized:
		return Refusal{imagestore.ErrUnauthorized, errdef.RegistryUnauthorized, false}
	case status == http.StatusForbidden:
		return Refusal{imagestore.ErrUnauthorized, errdef.RegistryUnauthorized, true}
	case status == http.StatusNotFound:
		return Refusal{imagestore.ErrNotFound, errdef.RegistryImageMissing, false}
	case status == http.StatusRequestEntityTooLarge:
		return Refusal{nil, errdef.RegistryBodyLimit, false}
	case status == 0:
		return Refusal{OfName: hasClientCode(text)}
	case isTransient(status), status == http.StatusRequestTimeout,
		status == http.StatusProxyAuthRequired, status >= 500:
		return Refusal{imagestore.ErrUnavailable, errdef.RegistryUnreachable, false}
	}
	return Refusal{OfName: status >= 400}
}

// hasClientCode reports whether the text has an error code of the distribution spec for a status of
// 4xx, by its description. A classic store does not quote the status, and calls what it cannot
// parse unknown, also of 4xx alone (moby and distribution, registry/client/errors.go).
func hasClientCode(text string) bool {
	for _, code := range []string{"unsupported", "manifest invalid", "unknown: "} {
		if strings.Contains(text, code) {
			return true
		}
	}
	return false
}

// quotedStatus finds a registry's status in an engine's text: "... HTTP 409 response body ..." of
// the classic store, "... PUT request to https://...: 409 Conflict" of the containerd store.
var quotedStatus = lazy.Regexp(`\bhttp ([45]\d\d)\b|: ([45]\d\d) [a-z]`)

func statusIn(text string) int {
	found := quotedStatus().FindStringSubmatch(text)
	if found == nil {
		return 0
	}
	status, _ := strconv.Atoi(found[1] + found[2])
	return status
}

// withoutName removes the image's name from an error: a repository may be called "denied".
func withoutName(text, ref string) string {
	text = strings.ReplaceAll(text, ref, "")
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return text
	}
	return strings.ReplaceAll(text, "/v2/"+reference.Path(named), "")
}
