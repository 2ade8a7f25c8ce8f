package docker

import (
	"errors"
	"strings"

	"github.com/distribution/reference"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// refusal is what an engine's report of a failed pull or push means.
type refusal struct {
	cause     error // nil if it is not known
	situation errdef.Situation
	// ofName reports whether a push may have been refused because of its name alone.
	ofName bool
}

// refusals are the answers of registries by their words, the most precise first. The words are the
// error codes of the OCI distribution spec and their descriptions, what registries say about tags
// that cannot be moved, and what Go's net and Docker's registry client say.
func refusals() []struct {
	refusal
	words []string
} {
	return []struct {
		refusal
		words []string
	}{
		// What a proxy says to a request that is larger than it allows.
		{refusal{nil, errdef.RegistryBodyLimit, false},
			[]string{"413 request entity too large", "413 payload too large",
				"413 content too large", "request entity too large"}},
		// ECR, Harbor, Artifactory, Artifact Registry, Nexus, GitLab, Quay and Docker Hub.
		{refusal{imagestore.ErrTagFixed, errdef.RegistryTagFixed, true},
			[]string{"immutable", "immutability", "overwrit", "tag invalid", "tag_invalid",
				"cannot be updated", "does not allow updating", "protected tag", "tag is protected",
				"tag is locked"}},
		{refusal{imagestore.ErrUnauthorized, errdef.RegistryUnauthorized, false},
			[]string{"unauthorized", "no basic auth credentials", "authentication required",
				"authorization failed", "incorrect username or password", "insufficient_scope"}},
		{refusal{}, []string{"quota"}},
		{refusal{imagestore.ErrUnauthorized, errdef.RegistryUnauthorized, true},
			[]string{"denied", "403 forbidden"}},
		{refusal{imagestore.ErrNotFound, errdef.RegistryImageMissing, false},
			[]string{"manifest unknown", "name unknown", "not found", "no matching manifest"}},
		{refusal{imagestore.ErrUnavailable, errdef.RegistryUnreachable, false},
			[]string{"dial tcp", "connection refused", "connection reset", "no such host",
				"i/o timeout", "tls:", "x509:", "client.timeout", "context deadline exceeded",
				"unexpected http status: 5", "unexpected status: 5",
				"503 service unavailable", "502 bad gateway", ": eof", "toomanyrequests"}},
	}
}

// refusalOf classifies an engine's report of a failed pull or push. An engine answers 404 for
// "denied" and 500 for a refused login and for a dead network alike, so the text decides before the
// status does.
func refusalOf(err error, ref string) refusal {
	text := strings.ToLower(withoutName(err.Error(), ref))
	for _, known := range refusals() {
		for _, word := range known.words {
			if strings.Contains(text, word) {
				return known.refusal
			}
		}
	}
	switch cause := statusCause(err); {
	case errors.Is(cause, imagestore.ErrUnauthorized):
		return refusal{cause, errdef.RegistryUnauthorized, true}
	case errors.Is(cause, imagestore.ErrNotFound):
		return refusal{cause, errdef.RegistryImageMissing, false}
	}
	return refusal{ofName: true}
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
