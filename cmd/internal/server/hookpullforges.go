package server

import (
	"encoding/json"
	"fmt"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

// readPull reads the event pull_request of Gitea and Forgejo
// (https://docs.gitea.com/usage/repository/webhooks) and GitHub
// (https://docs.github.com/en/webhooks/webhook-events-and-payloads#pull_request).
func readPull(event []byte, _ string) (PullRequestEvent, error) {
	type side struct {
		Ref  string `json:"ref"`
		SHA  string `json:"sha"`
		Repo *struct {
			ID int64 `json:"id"`
		} `json:"repo"` // null for a fork that was removed
	}
	var e struct {
		Action     string `json:"action"`
		Number     int    `json:"number"`
		Repository struct {
			FullName      string `json:"full_name"`
			DefaultBranch string `json:"default_branch"`
		} `json:"repository"`
		PullRequest struct {
			User struct {
				Login string `json:"login"`
			} `json:"user"`
			Head side `json:"head"`
			Base side `json:"base"`
		} `json:"pull_request"`
	}
	if json.Unmarshal(event, &e) != nil {
		return PullRequestEvent{}, errNoPull
	}
	switch e.Action {
	case "opened", "reopened", "synchronize", "synchronized", "closed":
	default:
		return PullRequestEvent{}, errNoChange
	}
	head, base := e.PullRequest.Head, e.PullRequest.Base
	return PullRequestEvent{
		Repository: e.Repository.FullName, Number: e.Number, Closed: e.Action == "closed",
		Base: base.Ref, DefaultBranch: e.Repository.DefaultBranch,
		Origin: resolver.Origin{
			SameRepository: head.Repo != nil && base.Repo != nil && head.Repo.ID != 0 &&
				head.Repo.ID == base.Repo.ID,
			Authors: names(e.PullRequest.User.Login),
		},
	}.checked(head.SHA)
}

// readGitLabPull reads the event Merge Request Hook
// (https://docs.gitlab.com/user/project/integrations/webhook_events/#merge-request-events). It has
// the ID of the author, and the name of who caused the event.
func readGitLabPull(event []byte, _ string) (PullRequestEvent, error) {
	var e struct {
		User struct {
			ID       int64  `json:"id"`
			Username string `json:"username"`
		} `json:"user"`
		Project struct {
			Path          string `json:"path_with_namespace"`
			DefaultBranch string `json:"default_branch"`
		} `json:"project"`
		Request struct {
			Number       int    `json:"iid"`
			Action       string `json:"action"`
			OldRevision  string `json:"oldrev"` // set if an update pushed commits
			TargetBranch string `json:"target_branch"`
			Source       int64  `json:"source_project_id"`
			Target       int64  `json:"target_project_id"`
			AuthorID     int64  `json:"author_id"`
			LastCommit   struct {
				ID string `json:"id"`
			} `json:"last_commit"`
		} `json:"object_attributes"`
	}
	if json.Unmarshal(event, &e) != nil {
		return PullRequestEvent{}, errNoPull
	}
	r := e.Request
	closed := r.Action == "close" || r.Action == "merge"
	if !closed && r.Action != "open" && r.Action != "reopen" &&
		(r.Action != "update" || r.OldRevision == "") {
		return PullRequestEvent{}, errNoChange
	}
	var authors []string
	if r.AuthorID != 0 {
		authors = []string{fmt.Sprint(r.AuthorID)}
		if r.AuthorID == e.User.ID {
			authors = append(authors, names(e.User.Username)...)
		}
	}
	return PullRequestEvent{
		Repository: e.Project.Path, Number: r.Number, Closed: closed, Base: r.TargetBranch,
		DefaultBranch: e.Project.DefaultBranch,
		Origin: resolver.Origin{SameRepository: r.Source != 0 && r.Source == r.Target,
			Authors: authors},
	}.checked(r.LastCommit.ID)
}

// readBitbucketPull reads the events of Bitbucket Data Center
// (https://confluence.atlassian.com/bitbucketserver/event-payload-938025882.html). Bitbucket Cloud
// has no refs for pull requests.
func readBitbucketPull(event []byte, kind string) (PullRequestEvent, error) {
	type side struct {
		ID           string `json:"id"`
		LatestCommit string `json:"latestCommit"`
		Repository   struct {
			ID      int64  `json:"id"`
			Slug    string `json:"slug"`
			Project struct {
				Key string `json:"key"`
			} `json:"project"`
		} `json:"repository"`
	}
	var e struct {
		PullRequest struct {
			ID     int  `json:"id"`
			From   side `json:"fromRef"`
			To     side `json:"toRef"`
			Author struct {
				User struct {
					Name string `json:"name"`
				} `json:"user"`
			} `json:"author"`
		} `json:"pullRequest"`
	}
	if json.Unmarshal(event, &e) != nil {
		return PullRequestEvent{}, errNoPull
	}
	p := e.PullRequest
	to := p.To.Repository
	if to.Slug == "" {
		return PullRequestEvent{}, errNoPull
	}
	return PullRequestEvent{
		Repository: to.Project.Key + "/" + to.Slug, Number: p.ID,
		Closed: kind != "pr:opened" && kind != "pr:from_ref_updated",
		Base:   strings.TrimPrefix(p.To.ID, "refs/heads/"),
		Origin: resolver.Origin{
			SameRepository: p.From.Repository.ID != 0 && p.From.Repository.ID == to.ID,
			Authors:        names(p.Author.User.Name),
		},
	}.checked(p.From.LatestCommit)
}

// names returns a list of the name, without one for "".
func names(name string) []string {
	if name == "" {
		return nil
	}
	return []string{name}
}
