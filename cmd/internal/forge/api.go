package forge

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/outbox"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// state is a state of a commit.
type state int

const (
	pending state = iota
	success
	failure   // the template is wrong
	faulty    // something else is wrong
	cancelled // it is not known whether the template is right
)

// names returns the states as a kind of forge calls them.
func (s state) name(kind resolver.ForgeKind) string {
	if kind == resolver.ForgeGitLab {
		return [...]string{"pending", "success", "failed", "failed", "canceled"}[s]
	}
	return [...]string{"pending", "success", "failure", "error", "error"}[s]
}

// status is the state of a commit in words.
type status struct {
	state
	revision git.Revision
	// context tells the statuses of several templates of one repository apart.
	context, description string
	page                 string // URL, "" for none
}

// maxDescription is GitHub's bound, in characters.
const maxDescription = 140

// clip cuts a description to its bound.
func clip(text string) string {
	if r := []rune(text); len(r) > maxDescription {
		return string(r[:maxDescription-1]) + "…"
	}
	return text
}

// message returns the request that sets a status:
//
//   - Gitea and Forgejo: POST /api/v1/repos/{owner}/{repo}/statuses/{sha} with state, target_url,
//     description and context (repoCreateStatus in their /api/swagger); the token as
//     "Authorization: token" (https://docs.gitea.com/development/api-usage).
//   - GitHub: POST /repos/{owner}/{repo}/statuses/{sha} with the same
//     (https://docs.github.com/en/rest/commits/statuses), at api.github.com, and on an Enterprise
//     Server below /api/v3.
//   - GitLab: POST /api/v4/projects/{path}/statuses/{sha} with name instead of context
//     (https://docs.gitlab.com/api/commits/), the token as PRIVATE-TOKEN. Before 18 it answers 400
//     to a commit that is pending already
//     (https://gitlab.com/gitlab-org/gitlab-foss/-/issues/25807).
func message(f pinion.Forge, s status) (outbox.Message, error) {
	base, path := f.Base()
	sha := s.revision.String()
	header := http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"},
		"User-Agent": {"pinion"}}
	body := map[string]string{"state": s.name(f.Kind), "description": clip(s.description)}
	if s.page != "" {
		body["target_url"] = s.page
	}
	m := outbox.Message{Header: header}
	switch f.Kind {
	case resolver.ForgeGitLab:
		body["name"] = s.context
		header.Set("PRIVATE-TOKEN", f.Token)
		m.URL = base + "/api/v4/projects/" + url.PathEscape(path) + "/statuses/" + sha
		m.Accepts = func(status int) bool {
			return status >= 200 && status < 300 ||
				s.state == pending && status == http.StatusBadRequest
		}
	case resolver.ForgeGitHub:
		body["context"] = s.context
		header.Set("Authorization", "Bearer "+f.Token)
		header.Set("Accept", "application/vnd.github+json")
		header.Set("X-GitHub-Api-Version", "2022-11-28")
		m.URL = gitHubAPI(f.Remote, base) + "/repos/" + escape(path) + "/statuses/" + sha
	default:
		body["context"] = s.context
		header.Set("Authorization", "token "+f.Token)
		m.URL = base + "/api/v1/repos/" + escape(path) + "/statuses/" + sha
	}
	var err error
	m.Body, err = json.Marshal(body)
	return m, err
}

// gitHubAPI returns where GitHub's API is.
func gitHubAPI(r git.Remote, base string) string {
	if strings.TrimSuffix(r.Host(), ":443") == "github.com" && r.Scheme() == "https" {
		return "https://api.github.com"
	}
	return base + "/api/v3"
}

// escape escapes each part of a path and keeps the slashes.
func escape(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return strings.Join(parts, "/")
}
