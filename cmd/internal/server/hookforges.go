package server

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/stdwebhooks"
)

// hookForge is how one kind of forge sends webhooks.
type hookForge struct {
	name  string // the last element of the route
	event string // the header with the kind of event
	// pushes and pulls are the kinds of events that are read. All others are answered and ignored.
	pushes, pulls []string
	// ping is a kind of event that comes without a proof; "" for none.
	ping string
	// proofs are headers with a proof that the sender has the secret. The first that is there
	// counts.
	proofs []hookProof
	// delivery is the header with the ID of a delivery, for a forge that may send the same body for
	// two pushes; "" for others.
	delivery string
	// forms reports whether the event may be in a form, as its field payload.
	forms bool
	read  func(event []byte) (push, error)
	// readPull reads an event of that kind of pulls.
	readPull func(event []byte, kind string) (PullRequestEvent, error)
}

// hookForges returns the forges whose webhooks are accepted. What they send:
//
//   - Gitea: https://docs.gitea.com/usage/repository/webhooks. X-Gitea-Signature is the HMAC-SHA256
//     of the event in hex, also of an event in a form.
//   - Forgejo: https://forgejo.org/docs/latest/user/webhooks. The same under its own name, beside
//     those of Gitea and GitHub.
//   - GitHub: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries.
//     X-Hub-Signature-256 is "sha256=" and the HMAC-SHA256 of the body in hex. X-Hub-Signature has
//     SHA-1 and is not read. A new webhook sends the event ping, which is signed.
//   - GitLab: https://docs.gitlab.com/user/project/integrations/webhooks/. A webhook with a signing
//     token is signed as Standard Webhooks says. With a secret token X-Gitlab-Token is the secret
//     itself, so nothing of the body is signed. Idempotency-Key is one for all attempts of a
//     delivery. Pushes of tags are events of their own.
//   - Bitbucket Cloud: https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/ and
//     https://bitbucket.org/blog/enhanced-webhook-security; Data Center:
//     https://confluence.atlassian.com/bitbucketserver/event-payload-938025882.html.
//     X-Hub-Signature is "sha256=" and the HMAC-SHA256 of the body in hex. The connection test of
//     Data Center sends diagnostics:ping, without a signature.
func hookForges() []hookForge {
	sha256Of := func(header string) hookProof {
		return hookProof{header: header, prefix: "sha256="}
	}
	return []hookForge{
		{name: "gitea", event: "X-Gitea-Event", pushes: []string{"push"}, forms: true,
			read: readPush, pulls: []string{"pull_request"}, readPull: readPull,
			proofs: []hookProof{{header: "X-Gitea-Signature"}}},
		{name: "forgejo", event: "X-Forgejo-Event", pushes: []string{"push"}, forms: true,
			read: readPush, pulls: []string{"pull_request"}, readPull: readPull,
			proofs: []hookProof{{header: "X-Forgejo-Signature"},
				{header: "X-Gitea-Signature"}, sha256Of("X-Hub-Signature-256")}},
		{name: "github", event: "X-GitHub-Event", pushes: []string{"push"}, forms: true,
			read: readPush, pulls: []string{"pull_request"}, readPull: readPull,
			proofs: []hookProof{sha256Of("X-Hub-Signature-256")}},
		{name: "gitlab", event: "X-Gitlab-Event", pushes: []string{"Push Hook", "Tag Push Hook"},
			proofs: []hookProof{{header: stdwebhooks.HeaderSignature, isStandard: true},
				{header: "X-Gitlab-Token", isToken: true}},
			delivery: "Idempotency-Key", read: readGitLabPush,
			pulls: []string{"Merge Request Hook"}, readPull: readGitLabPull},
		{name: "bitbucket", event: "X-Event-Key", ping: "diagnostics:ping",
			pushes: []string{"repo:push", "repo:refs_changed"},
			proofs: []hookProof{sha256Of("X-Hub-Signature")}, read: readBitbucketPush,
			pulls: []string{"pr:opened", "pr:from_ref_updated", "pr:merged", "pr:declined",
				"pr:deleted"}, readPull: readBitbucketPull},
	}
}

// isPing reports whether a request is an event without a proof, of which nothing is read.
func (f hookForge) isPing(r *http.Request) bool {
	return f.ping != "" && r.Header.Get(f.event) == f.ping
}

func (f hookForge) isPush(r *http.Request) bool {
	return slices.Contains(f.pushes, r.Header.Get(f.event))
}

// push is the part of a push event that the server reads. Without a ref it moves none.
type push struct {
	repository string // owner/name
	refs       []string
}

// maxRefs bounds the refs of one push that are looked up. The others are found by polling.
const maxRefs = 100

var errNoPush = errors.New("the event is not a push event")

// checked returns a push that names its repository.
func (p push) checked() (push, error) {
	if p.repository == "" {
		return push{}, errNoPush
	}
	slices.Sort(p.refs)
	p.refs = slices.DeleteFunc(slices.Compact(p.refs), func(ref string) bool { return ref == "" })
	p.refs = p.refs[:min(len(p.refs), maxRefs)]
	return p, nil
}

// readPush reads the event of Gitea, Forgejo and GitHub.
func readPush(event []byte) (push, error) {
	var e struct {
		Ref        string `json:"ref"`
		Repository struct {
			FullName string `json:"full_name"`
		} `json:"repository"`
	}
	if json.Unmarshal(event, &e) != nil {
		return push{}, errNoPush
	}
	return push{e.Repository.FullName, []string{e.Ref}}.checked()
}

// readGitLabPush reads GitLab's event.
func readGitLabPush(event []byte) (push, error) {
	var e struct {
		Ref     string `json:"ref"`
		Project struct {
			Path string `json:"path_with_namespace"`
		} `json:"project"`
	}
	if json.Unmarshal(event, &e) != nil {
		return push{}, errNoPush
	}
	return push{e.Project.Path, []string{e.Ref}}.checked()
}

// readBitbucketPush reads the events of Bitbucket Cloud, and of Data Center, whose repositories are
// at <project's key>/<slug>.
func readBitbucketPush(event []byte) (push, error) {
	var e struct {
		Repository struct {
			FullName string `json:"full_name"`
			Slug     string `json:"slug"`
			Project  struct {
				Key string `json:"key"`
			} `json:"project"`
		} `json:"repository"`
		Push struct {
			Changes []struct {
				// New is null where the branch was removed.
				New *struct {
					Type string `json:"type"`
					Name string `json:"name"`
				} `json:"new"`
			} `json:"changes"`
		} `json:"push"`
		Changes []struct {
			Ref struct {
				ID string `json:"id"`
			} `json:"ref"`
		} `json:"changes"`
	}
	if json.Unmarshal(event, &e) != nil {
		return push{}, errNoPush
	}
	p := push{repository: e.Repository.FullName}
	if p.repository == "" && e.Repository.Slug != "" {
		p.repository = e.Repository.Project.Key + "/" + e.Repository.Slug
	}
	for _, c := range e.Push.Changes {
		switch {
		case c.New == nil:
		case c.New.Type == "tag":
			p.refs = append(p.refs, "refs/tags/"+c.New.Name)
		default:
			p.refs = append(p.refs, "refs/heads/"+c.New.Name)
		}
	}
	for _, c := range e.Changes {
		p.refs = append(p.refs, c.Ref.ID)
	}
	return p.checked()
}
