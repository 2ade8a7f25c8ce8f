package forge

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

// TestCheck has what forges answer to a status of a commit that does not exist. Gitea's answers are
// those of 1.26; GitHub's and GitLab's are documented.
func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		kind   resolver.ForgeKind
		status int
		body   string
		want   error
	}{
		"Gitea":           {resolver.ForgeGitea, 500, `{"message":"GetCommit[000]"}`, nil},
		"GitHub":          {resolver.ForgeGitHub, 422, `{"message":"No commit found"}`, nil},
		"GitLab":          {resolver.ForgeGitLab, 404, `{"message":"404 Commit Not Found"}`, nil},
		"wrong token":     {resolver.ForgeGitea, 401, "", errdef.ErrUnauthorized},
		"missing scope":   {resolver.ForgeGitHub, 403, "", errdef.ErrUnauthorized},
		"no repository":   {resolver.ForgeGitHub, 404, "", errdef.ErrUnauthorized},
		"no project":      {resolver.ForgeGitLab, 404, "Project Not Found", errdef.ErrUnauthorized},
		"redirect":        {resolver.ForgeGitea, 302, "", errdef.ErrUnauthorized},
		"limit":           {resolver.ForgeGitHub, 429, "", errdef.ErrUnavailable},
		"away":            {resolver.ForgeGitHub, 503, "", errdef.ErrUnavailable},
		"does not listen": {resolver.ForgeGitea, 0, "", errdef.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			path := ""
			server := httptest.NewServer(http.HandlerFunc(
				func(w http.ResponseWriter, r *http.Request) {
					path = r.URL.Path
					w.Header().Set("Location", "http://127.0.0.1:1/")
					w.WriteHeader(c.status)
					_, _ = w.Write([]byte(c.body))
				}))
			defer server.Close()
			if c.status == 0 {
				server.Close()
			}
			err := Check(t.Context(), pinion.Forge{Kind: c.kind, Token: token,
				Remote: parse(t, server.URL+"/acme/hermes")})
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
				t.Errorf("error %v, want %v", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), token) {
				t.Errorf("the error has the token: %v", err)
			}
			if c.status != 0 && !strings.HasSuffix(path, "/statuses/"+nowhere) {
				t.Errorf("the request is for %q", path)
			}
		})
	}
}
