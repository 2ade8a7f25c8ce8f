package parts

import (
	"net/http"
	"strings"
)

// Refusal is how a server or a proxy says no.
type Refusal struct {
	Status     int
	Kind, Body string // the content's type and the content
}

// Answer sends the refusal.
func (f Refusal) Answer(w http.ResponseWriter) {
	w.Header().Set("Content-Type", f.Kind)
	w.WriteHeader(f.Status)
	_, _ = w.Write([]byte(f.Body))
}

// FixedTag is how one registry refuses to let a tag that exists name another image.
type FixedTag struct {
	Registry string
	Refusal
}

// FixedTags are the refusals of registries whose tags can be fixed, by their documents and by
// public reports.
func FixedTags() []FixedTag {
	answer := func(registry string, status int, code, message string) FixedTag {
		return FixedTag{registry, Refusal{status, "application/json",
			`{"errors":[{"code":"` + code + `","message":"` + message + `"}]}`}}
	}
	return []FixedTag{
		answer("ecr", http.StatusBadRequest, "TAG_INVALID", "The image tag 'x' already exists in "+
			"the 'y' repository and cannot be overwritten because the tag is immutable."),
		answer("harbor", http.StatusPreconditionFailed, "PRECONDITION",
			"Failed to process request due to 'y:x' configured as immutable."),
		answer("gitlab", http.StatusForbidden, "DENIED",
			"requested access to the resource is denied"),
		answer("artifactory", http.StatusForbidden, "DENIED",
			"Not enough permissions to delete/overwrite artifact 'y/x/manifest.json'"),
		answer("artifact registry", http.StatusBadRequest, "MANIFEST_INVALID",
			"cannot update tag x. The repository has enabled tag immutability"),
		answer("nexus", http.StatusBadRequest, "DENIED",
			"Repository does not allow updating assets: y"),
		answer("acr", http.StatusMethodNotAllowed, "UNSUPPORTED",
			"The operation is disallowed on this registry, repository or image."),
		{"a proxy", ForbiddenPage()},
		{"without words", Refusal{http.StatusConflict, "text/plain", ""}},
	}
}

// ForbiddenPage is what HAProxy answers to a request that its rules deny.
func ForbiddenPage() Refusal {
	return Refusal{http.StatusForbidden, "text/html", "<html><body><h1>403 Forbidden</h1>\n" +
		"Request forbidden by administrative rules.\n</body></html>\n"}
}

// KeepTags makes a registry one whose tags are fixed: a manifest under a tag that the registry at
// that URL has is refused. The credentials are those of the request.
func KeepTags(registry string, refusal Refusal) Hook {
	return func(w http.ResponseWriter, r *http.Request) bool {
		_, tag, ok := strings.Cut(r.URL.Path, "/manifests/")
		if r.Method != http.MethodPut || !ok || strings.Contains(tag, ":") {
			return false
		}
		ask, err := http.NewRequestWithContext(r.Context(), http.MethodHead,
			registry+r.URL.Path, nil)
		if err != nil {
			return false
		}
		ask.Header.Set("Authorization", r.Header.Get("Authorization"))
		ask.Header["Accept"] = []string{"application/vnd.oci.image.manifest.v1+json",
			"application/vnd.oci.image.index.v1+json",
			"application/vnd.docker.distribution.manifest.v2+json"}
		resp, err := http.DefaultClient.Do(ask)
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return false
		}
		refusal.Answer(w)
		return true
	}
}
