package server

import (
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/resolver"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

const pullHead = "ec26c3e57ca3a959ca5aad62de7213c562f8c821"

// pullDelivery is a webhook about a pull request as a forge sends it, cut to what matters.
type pullDelivery struct {
	what, forge, body string
	header            []string
	want              PullRequestEvent // zero for what is answered with 204
}

// gitHubPull is the event of Gitea, Forgejo and GitHub. A head without a repository is of a fork
// that was removed.
func gitHubPull(action string, headRepo int) string {
	repo := "null"
	if headRepo > 0 {
		repo = fmt.Sprintf(`{"id":%d,"full_name":"x/Hello-World"}`, headRepo)
	}
	return fmt.Sprintf(`{"action":%q,"number":2,"pull_request":{"number":2,"state":"open",`+
		`"user":{"login":"Codertocat","id":21031067},"head":{"label":"Codertocat:changes",`+
		`"ref":"changes","sha":%q,"repo":%s},"base":{"ref":"master",`+
		`"sha":"f95f852bd8fca8fcc58a9a2d6c842781e32a215e","repo":{"id":186853002}}},`+
		`"repository":{"id":186853002,"full_name":"Codertocat/Hello-World",`+
		`"default_branch":"master"},"sender":{"login":"someone-else"}}`, action, pullHead, repo)
}

func gitLabPull(action, more string) string {
	return fmt.Sprintf(`{"object_kind":"merge_request","event_type":"merge_request",`+
		`"user":{"id":1,"name":"Administrator","username":"root"},`+
		`"project":{"id":1,"name":"Gitlab Test",`+
		`"path_with_namespace":"gitlabhq/sub/gitlab-test","default_branch":"master"},`+
		`"object_attributes":{"id":99,"iid":1,"target_branch":"master",`+
		`"source_branch":"ms-viewport","target_project_id":14,"state":"opened","action":%q,`+
		`"last_commit":{"id":%q,"message":"fixed readme"}%s}}`, action, pullHead, more)
}

func bitbucketPull(fromRepo int) string {
	return fmt.Sprintf(`{"eventKey":"pr:opened","date":"2017-09-19T09:58:11+1000","actor":`+
		`{"name":"someone-else","id":1},"pullRequest":{"id":7,"version":0,"state":"OPEN",`+
		`"fromRef":{"id":"refs/heads/a_branch","displayId":"a_branch","latestCommit":%q,`+
		`"repository":{"slug":"fork","id":%d,"project":{"key":"~ADMIN"}}},"toRef":{`+
		`"id":"refs/heads/master","latestCommit":"178864a7d521b6f5e720b386b2c2b0ef8563e0dc",`+
		`"repository":{"slug":"repository","id":84,"project":{"key":"PROJ"}}},`+
		`"author":{"user":{"name":"admin","slug":"admin"}}}}`, pullHead, fromRepo)
}

// pullDeliveries are those of each forge, as their documents show them, signed with a secret. See
// readPull and the like for the sources.
func pullDeliveries(t *testing.T, secret string) []pullDelivery {
	const json, form = "application/json", "application/x-www-form-urlencoded"
	hub := func(body string) string { return "sha256=" + sign(secret, body) }
	gitHub := func(what, forge, body string, want PullRequestEvent) pullDelivery {
		header := map[string][]string{
			"github": {"X-GitHub-Event", "pull_request", "X-Hub-Signature-256", hub(body)},
			"gitea": {"X-Gitea-Event", "pull_request", "X-Gitea-Event-Type", "pull_request_sync",
				"X-Gitea-Signature", sign(secret, body)},
			"forgejo": {"X-Forgejo-Event", "pull_request", "X-Forgejo-Signature",
				sign(secret, body)},
		}[forge]
		return pullDelivery{what, forge, body, append(header, "Content-Type", json), want}
	}
	gitLab := func(what, body string, want PullRequestEvent) pullDelivery {
		return pullDelivery{what, "gitlab", body, []string{"Content-Type", json, "X-Gitlab-Event",
			"Merge Request Hook", "X-Gitlab-Token", secret}, want}
	}
	bitbucket := func(what, key, body string, want PullRequestEvent) pullDelivery {
		return pullDelivery{what, "bitbucket", body, []string{"Content-Type", json, "X-Event-Key",
			key, "X-Hub-Signature", hub(body)}, want}
	}
	head, err := git.ParseRevision(pullHead)
	if err != nil {
		t.Fatal(err)
	}
	const own = 186853002
	branch := PullRequestEvent{Repository: "Codertocat/Hello-World", Number: 2, Head: head,
		Base: "master", DefaultBranch: "master",
		Origin: resolver.Origin{SameRepository: true, Authors: []string{"Codertocat"}}}
	fork := branch
	fork.Origin.SameRepository = false
	closed := branch
	closed.Closed, closed.Head = true, git.Revision{}
	lab := PullRequestEvent{Repository: "gitlabhq/sub/gitlab-test", Number: 1, Head: head,
		Base: "master", DefaultBranch: "master",
		Origin: resolver.Origin{SameRepository: true, Authors: []string{"1", "root"}}}
	labFork := lab
	labFork.Origin = resolver.Origin{Authors: []string{"51"}}
	labClosed := lab
	labClosed.Closed, labClosed.Head = true, git.Revision{}
	bucket := PullRequestEvent{Repository: "PROJ/repository", Number: 7, Head: head,
		Base: "master", Origin: resolver.Origin{SameRepository: true, Authors: []string{"admin"}}}
	bucketFork := bucket
	bucketFork.Origin.SameRepository = false
	bucketClosed := bucket
	bucketClosed.Closed, bucketClosed.Head = true, git.Revision{}
	const same, other = `,"source_project_id":14,"author_id":1`,
		`,"source_project_id":15,"author_id":51`
	inForm := url.Values{"payload": {gitHubPull("opened", own)}}.Encode()
	list := []pullDelivery{
		{"GitHub's form", "github", inForm, []string{"Content-Type", form, "X-GitHub-Event",
			"pull_request", "X-Hub-Signature-256", hub(inForm)}, branch},
		gitLab("GitLab's opened", gitLabPull("open", same), lab),
		gitLab("GitLab's reopened", gitLabPull("reopen", same), lab),
		gitLab("GitLab's push", gitLabPull("update", same+`,"oldrev":"aa"`), lab),
		gitLab("GitLab's of a fork", gitLabPull("open", other), labFork),
		gitLab("GitLab's merged", gitLabPull("merge", same), labClosed),
		gitLab("GitLab's closed", gitLabPull("close", same), labClosed),
		gitLab("GitLab's new title", gitLabPull("update", same), PullRequestEvent{}),
		gitLab("GitLab's approval", gitLabPull("approved", same), PullRequestEvent{}),
		bitbucket("Bitbucket's opened", "pr:opened", bitbucketPull(84), bucket),
		bitbucket("Bitbucket's push", "pr:from_ref_updated", bitbucketPull(84), bucket),
		bitbucket("Bitbucket's of a fork", "pr:opened", bitbucketPull(85), bucketFork),
		bitbucket("Bitbucket's merged", "pr:merged", bitbucketPull(84), bucketClosed),
		bitbucket("Bitbucket's declined", "pr:declined", bitbucketPull(84), bucketClosed),
		bitbucket("Bitbucket's comment", "pr:comment:added", bitbucketPull(84), PullRequestEvent{}),
		bitbucket("Bitbucket Cloud's", "pullrequest:created", `{"pullrequest":{"id":1}}`,
			PullRequestEvent{}),
	}
	for _, forge := range []string{"github", "gitea", "forgejo"} {
		for _, action := range []string{"opened", "reopened", "synchronize", "synchronized"} {
			list = append(list, gitHub(forge+"'s "+action, forge, gitHubPull(action, own), branch))
		}
		list = append(list,
			gitHub(forge+"'s of a fork", forge, gitHubPull("opened", 7), fork),
			gitHub(forge+"'s of a fork that is gone", forge, gitHubPull("opened", 0), fork),
			gitHub(forge+"'s closed", forge, gitHubPull("closed", own), closed),
			gitHub(forge+"'s label", forge, gitHubPull("labeled", own), PullRequestEvent{}))
	}
	return list
}

// TestFault71_WebhooksOfPullRequests sends each delivery, with the secret and with another one.
func TestFault71_WebhooksOfPullRequests(t *testing.T) {
	secret := strings.Repeat("s", MinToken)
	var got []PullRequestEvent
	answer := PullRequestAnswer{Known: true, Templates: []string{"there"}}
	notify := func(string, string, time.Time) ([]string, bool) {
		t.Error("it is taken for a push")
		return nil, false
	}
	s := newStage(t, WithHook(secret, notify),
		WithPullRequests(func(e PullRequestEvent) PullRequestAnswer {
			got = append(got, e)
			return answer
		}))
	without := newStage(t, WithHook(secret, notify))
	send := func(s *stage, d pullDelivery) response {
		t.Helper()
		got = nil
		return s.ask(t, http.MethodPost, "/v1/hooks/"+d.forge, d.body, d.header...)
	}
	for i, d := range pullDeliveries(t, secret) {
		forged := pullDeliveries(t, strings.Repeat("x", MinToken))[i]
		if r := send(s, forged); r.StatusCode != 403 || len(got) > 0 {
			t.Errorf("%s with another secret: %d, %+v", d.what, r.StatusCode, got)
		}
		want, events := 202, []PullRequestEvent{d.want}
		if d.want.Number == 0 {
			want, events = 204, nil
		}
		if r := send(s, d); r.StatusCode != want || !reflect.DeepEqual(got, events) {
			t.Errorf("%s: %d, not %d; %+v, not %+v", d.what, r.StatusCode, want, got, events)
		}
		if r := send(without, d); r.StatusCode != 204 {
			t.Errorf("%s without pull requests: %d", d.what, r.StatusCode)
		}
	}
	d := pullDeliveries(t, secret)[0]
	for what, c := range map[string]struct {
		answer PullRequestAnswer
		status int
		body   string
	}{
		"unknown":  {PullRequestAnswer{}, 404, "Codertocat/Hello-World"},
		"no rules": {PullRequestAnswer{Known: true}, 204, ""},
		"refused": {PullRequestAnswer{Known: true, Refused: []string{"there: from a \x1b fork"}},
			200, `"refused":["there: from a `},
	} {
		answer = c.answer
		r := send(s, d)
		if r.StatusCode != c.status || !strings.Contains(r.text, c.body) ||
			strings.Contains(r.text, "\\u001b") {
			t.Errorf("%s: %d %s", what, r.StatusCode, r.text)
		}
	}
	for _, body := range []string{"{}", `{"action":"opened"}`, strings.Replace(gitHubPull("opened",
		1), pullHead, pullHead[:7], 1), strings.ReplaceAll(gitHubPull("opened", 1), `"number":2`,
		`"number":-2`), "nothing"} {
		header := []string{"Content-Type", "application/json", "X-GitHub-Event", "pull_request",
			"X-Hub-Signature-256", "sha256=" + sign(secret, body)}
		r := s.ask(t, http.MethodPost, "/v1/hooks/github", body, header...)
		if r.StatusCode != 400 && (body != "{}" || r.StatusCode != 204) {
			t.Errorf("%s: %d", body, r.StatusCode)
		}
	}
}
