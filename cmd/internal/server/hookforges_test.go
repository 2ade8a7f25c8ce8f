package server

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// delivery is a webhook as a forge sends it, cut to what matters.
type delivery struct {
	what, forge, body string
	header            []string
	want              int      // status
	pushed            []string // what is looked up
}

// deliveries are those of each forge, as their documents show them, signed with a secret. See
// hookForges for the sources.
func deliveries(secret string) []delivery {
	hub := func(body string) string { return "sha256=" + sign(secret, body) }
	const (
		gitHub = `{"ref":"refs/heads/main","before":"6113728f27ae82c7b1a177c8d03f9e96e0adf246",` +
			`"after":"59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5","repository":{"id":1,` +
			`"name":"Hello-World","full_name":"Codertocat/Hello-World","private":false},` +
			`"pusher":{"name":"Codertocat"},"created":false,"deleted":false,"forced":false}`
		forgejo = `{"ref":"refs/heads/develop",` +
			`"before":"28e1879d029cb852e4844d9c718537df08844e03",` +
			`"after":"bffeb74224043ba2feb48d137756c8a9331c449a","repository":{"id":140,` +
			`"name":"webhooks","full_name":"forgejo/webhooks"}}`
		gitLab = `{"object_kind":"push","event_name":"push",` +
			`"before":"95790bf891e76fee5e1747ab589903a6a1f80f22",` +
			`"after":"da1560886d4f094c3e6c9ef40349f7d38b5d27d7","ref":"refs/heads/master",` +
			`"project_id":15,"project":{"id":15,"name":"Diaspora","namespace":"Mike",` +
			`"path_with_namespace":"mike/sub/diaspora"},"repository":{"name":"Diaspora"}}`
		cloud = `{"actor":{},"repository":{"type":"repository","name":"repo_name",` +
			`"full_name":"team_name/repo_name"},"push":{"changes":[` +
			`{"new":{"type":"branch","name":"main"},"old":{"type":"branch","name":"main"}},` +
			`{"new":{"type":"tag","name":"v1"},"old":null},` +
			`{"new":null,"old":{"type":"branch","name":"gone"}}]}}`
		dataCenter = `{"eventKey":"repo:refs_changed","date":"2019-06-17T19:37:57+1000",` +
			`"repository":{"slug":"test-repo","id":656,"project":{"key":"MYPROJECT"}},` +
			`"changes":[{"ref":{"id":"refs/heads/master","displayId":"master","type":"BRANCH"},` +
			`"refId":"refs/heads/master","type":"UPDATE"}]}`
		ping = `{"zen":"Design for failure.","hook_id":1,"repository":{"full_name":"a/b"}}`
		json = "application/json"
		form = "application/x-www-form-urlencoded"
	)
	inForm := url.Values{"payload": {strings.Replace(gitHub, "main", "in form", 1)}}.Encode()
	return []delivery{
		{"GitHub's push", "github", gitHub, []string{"Content-Type", json, "X-GitHub-Event", "push",
			"X-Hub-Signature", "sha1=0000", "X-Hub-Signature-256", hub(gitHub)}, 202,
			[]string{"Codertocat/Hello-World refs/heads/main"}},
		{"GitHub's form", "github", inForm, []string{"Content-Type", form, "X-GitHub-Event", "push",
			"X-Hub-Signature-256", hub(inForm)}, 202,
			[]string{"Codertocat/Hello-World refs/heads/in form"}},
		{"GitHub's ping", "github", ping, []string{"Content-Type", json, "X-GitHub-Event", "ping",
			"X-Hub-Signature-256", hub(ping)}, 204, nil},
		{"GitHub's ping, unsigned", "github", ping, []string{"Content-Type", json, "X-GitHub-Event",
			"ping"}, 403, nil},
		{"GitHub's with the old signature alone", "github", gitHub, []string{"Content-Type", json,
			"X-GitHub-Event", "push", "X-Hub-Signature", hub(gitHub)}, 403, nil},
		{"GitHub's without a prefix", "github", gitHub, []string{"Content-Type", json,
			"X-GitHub-Event", "push", "X-Hub-Signature-256", sign(secret, gitHub)}, 403, nil},
		{"Forgejo's push", "forgejo", forgejo, []string{"Content-Type", json, "X-Forgejo-Event",
			"push", "X-Gitea-Event", "push", "X-Forgejo-Signature", sign(secret, forgejo),
			"X-Gitea-Signature", sign(secret, forgejo), "X-Hub-Signature-256", hub(forgejo)}, 202,
			[]string{"forgejo/webhooks refs/heads/develop"}},
		{"Forgejo's, where one signature is wrong", "forgejo", forgejo + " ", []string{
			"Content-Type", json, "X-Forgejo-Event", "push", "X-Forgejo-Signature",
			sign("x", forgejo+" "), "X-Gitea-Signature", sign(secret, forgejo+" ")}, 403, nil},
		{"Forgejo's with the signature of Gitea", "forgejo", forgejo + "  ", []string{
			"Content-Type", json, "X-Forgejo-Event", "push", "X-Gitea-Signature",
			sign(secret, forgejo+"  ")}, 202, []string{"forgejo/webhooks refs/heads/develop"}},
		{"GitLab's push", "gitlab", gitLab, []string{"Content-Type", json, "X-Gitlab-Event",
			"Push Hook", "X-Gitlab-Token", secret, "Idempotency-Key", "1"}, 202,
			[]string{"mike/sub/diaspora refs/heads/master"}},
		{"GitLab's second push with the same body", "gitlab", gitLab, []string{"Content-Type", json,
			"X-Gitlab-Event", "Push Hook", "X-Gitlab-Token", secret, "Idempotency-Key", "2"}, 202,
			[]string{"mike/sub/diaspora refs/heads/master"}},
		{"GitLab's next attempt", "gitlab", gitLab, []string{"Content-Type", json, "X-Gitlab-Event",
			"Push Hook", "X-Gitlab-Token", secret, "Idempotency-Key", "2"}, 204, nil},
		{"GitLab's other event", "gitlab", gitLab, []string{"Content-Type", json, "X-Gitlab-Event",
			"Note Hook", "X-Gitlab-Token", secret}, 204, nil},
		{"GitLab's with a wrong token", "gitlab", gitLab, []string{"Content-Type", json,
			"X-Gitlab-Event", "Push Hook", "X-Gitlab-Token", secret[1:]}, 403, nil},
		{"GitLab's with a signature", "gitlab", gitLab, []string{"Content-Type", json,
			"X-Gitlab-Event", "Push Hook", "X-Gitlab-Token", sign(secret, gitLab)}, 403, nil},
		{"a form of GitLab", "gitlab", gitLab, []string{"Content-Type", form, "X-Gitlab-Event",
			"Push Hook", "X-Gitlab-Token", secret}, 415, nil},
		{"Bitbucket Cloud's push", "bitbucket", cloud, []string{"Content-Type", json, "X-Event-Key",
			"repo:push", "X-Hub-Signature", hub(cloud)}, 202,
			[]string{"team_name/repo_name refs/heads/main", "team_name/repo_name refs/tags/v1"}},
		{"Bitbucket Data Center's push", "bitbucket", dataCenter, []string{"Content-Type",
			"application/json; charset=utf-8", "X-Event-Key", "repo:refs_changed",
			"X-Hub-Signature", hub(dataCenter)}, 202,
			[]string{"MYPROJECT/test-repo refs/heads/master"}},
		{"Bitbucket Data Center's ping", "bitbucket", `{"test":true}`, []string{"Content-Type",
			json, "X-Event-Key", "diagnostics:ping"}, 204, nil},
		{"Bitbucket's push, unsigned", "bitbucket", cloud, []string{"Content-Type", json,
			"X-Event-Key", "repo:push"}, 403, nil},
		{"Bitbucket's with GitHub's header", "bitbucket", cloud, []string{"Content-Type", json,
			"X-Event-Key", "repo:push", "X-Hub-Signature-256", hub(cloud)}, 403, nil},
		{"Bitbucket's without a repository", "bitbucket", `{"push":{}}`, []string{"Content-Type",
			json, "X-Event-Key", "repo:push", "X-Hub-Signature", hub(`{"push":{}}`)}, 400, nil},
	}
}

// signedAs returns the header of a push event of a forge.
func signedAs(f hookForge, secret, body string) []string {
	p := f.proofs[0]
	if p.isStandard {
		p = f.proofs[1]
	}
	proof := p.prefix + sign(secret, body)
	if p.isToken {
		proof = secret
	}
	return []string{"Content-Type", "application/json", f.event, f.pushes[0], p.header, proof}
}

// TestForgesWebhooks sends each delivery, with the secret and with another one.
func TestForgesWebhooks(t *testing.T) {
	secret := strings.Repeat("s", MinToken)
	var pushed []string
	s := newStage(t, WithHook(secret, func(repo, ref string, since time.Time) ([]string, bool) {
		if !since.IsZero() {
			return nil, true
		}
		pushed = append(pushed, repo+" "+ref)
		return []string{"there"}, true
	}))
	send := func(d delivery) int {
		pushed = nil
		return s.ask(t, http.MethodPost, "/v1/hooks/"+d.forge, d.body, d.header...).StatusCode
	}
	for i, d := range deliveries(secret) {
		other := deliveries(strings.Repeat("x", MinToken))[i]
		if got := send(other); d.want == 202 && (got != 403 || len(pushed) > 0) {
			t.Errorf("%s with another secret: %d; looked up %q", d.what, got, pushed)
		}
		if got := send(d); got != d.want || !slices.Equal(pushed, d.pushed) {
			t.Errorf("%s: %d, not %d; looked up %q", d.what, got, d.want, pushed)
		}
		if got := send(d); d.want == 202 && got != 204 {
			t.Errorf("%s once more: %d", d.what, got)
		}
	}
}

func TestAPushOfManyRefsIsBounded(t *testing.T) {
	var event strings.Builder
	event.WriteString(`{"repository":{"full_name":"a/b"},"push":{"changes":[`)
	for i := range 3 * maxRefs {
		if i > 0 {
			event.WriteString(",")
		}
		event.WriteString(`{"new":{"type":"branch","name":"` + strings.Repeat("x", i+1) + `"}}`)
	}
	event.WriteString("]}}")
	if p, err := readBitbucketPush([]byte(event.String())); err != nil || len(p.refs) != maxRefs {
		t.Errorf("%d refs, %v", len(p.refs), err)
	}
}

// TestSignaturesOfTheDocuments checks the examples in the documents of GitHub ("Validating webhook
// deliveries") and of Bitbucket ("Manage webhooks"), and the same for those that have none.
func TestSignaturesOfTheDocuments(t *testing.T) {
	const (
		secret  = "It's a Secret to Everybody"
		ofComma = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
		ofSpace = "a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"
	)
	s := newStage(t, WithHook(secret, func(string, string, time.Time) ([]string, bool) {
		return nil, false
	}))
	for _, d := range []struct{ forge, event, kind, header, proof, body string }{
		{"github", "X-GitHub-Event", "ping", "X-Hub-Signature-256", "sha256=" + ofComma,
			"Hello, World!"},
		{"bitbucket", "X-Event-Key", "repo:fork", "X-Hub-Signature", "sha256=" + ofSpace,
			"Hello World!"},
		{"gitea", "X-Gitea-Event", "fork", "X-Gitea-Signature", ofComma, "Hello, World!"},
		{"forgejo", "X-Forgejo-Event", "fork", "X-Forgejo-Signature", ofComma, "Hello, World!"},
	} {
		for body, want := range map[string]int{d.body: http.StatusNoContent,
			d.body + "!": http.StatusForbidden} {
			got := s.ask(t, http.MethodPost, "/v1/hooks/"+d.forge, body, "Content-Type",
				"application/json", d.event, d.kind, d.header, d.proof).StatusCode
			if got != want {
				t.Errorf("%s, %q: %d, not %d", d.forge, body, got, want)
			}
		}
	}
}

// TestSigningTokenOfGitLab signs as Standard Webhooks says.
func TestSigningTokenOfGitLab(t *testing.T) {
	const body = `{"object_kind":"push","ref":"refs/heads/main",` +
		`"project":{"path_with_namespace":"acme/hermes"}}`
	key := []byte(strings.Repeat("k", 32))
	secret := "whsec_" + base64.StdEncoding.EncodeToString(key)
	s := newStage(t, WithHook(secret, func(string, string, time.Time) ([]string, bool) {
		return []string{"hermes"}, true
	}))
	at := func(d time.Duration) string {
		return strconv.FormatInt(time.Now().Add(d).Unix(), 10)
	}
	by := func(key []byte, id, at string) string {
		signed := sum(key, []byte(id+"."+at+"."), []byte(body))
		return "v1," + base64.StdEncoding.EncodeToString(signed[:])
	}
	now, old, early := at(0), at(-maxSkew-time.Minute), at(maxSkew+time.Minute)
	const none = "v1,AAAA v1a,AAAA"
	for _, d := range []struct {
		what, id, at, proof string
		want                int
	}{
		{"a push", "1", now, by(key, "1", now), http.StatusAccepted},
		{"two signatures", "2", now, none + " " + by(key, "2", now), http.StatusAccepted},
		{"no signature of a known kind", "3", now, none, http.StatusForbidden},
		{"another key", "4", now, by([]byte(secret), "4", now), http.StatusForbidden},
		{"another ID", "5", now, by(key, "4", now), http.StatusForbidden},
		{"another time", "6", now, by(key, "6", at(time.Second)), http.StatusForbidden},
		{"an old one", "7", old, by(key, "7", old), http.StatusForbidden},
		{"one of the future", "8", early, by(key, "8", early), http.StatusForbidden},
		{"no time", "9", "", by(key, "9", ""), http.StatusForbidden},
	} {
		header := []string{"Content-Type", "application/json", "X-Gitlab-Event", "Push Hook",
			"Webhook-Id", d.id, "Idempotency-Key", d.id, "Webhook-Timestamp", d.at,
			"Webhook-Signature", d.proof}
		if d.want == http.StatusForbidden { // which a right token does not save
			header = append(header, "X-Gitlab-Token", secret)
		}
		got := s.ask(t, http.MethodPost, "/v1/hooks/gitlab", body, header...).StatusCode
		if got != d.want {
			t.Errorf("%s: %d, not %d", d.what, got, d.want)
		}
	}
	other := newStage(t, WithHook(string(key), func(string, string, time.Time) ([]string, bool) {
		return []string{"hermes"}, true
	}))
	if got := other.ask(t, http.MethodPost, "/v1/hooks/gitlab", body, "Content-Type",
		"application/json", "X-Gitlab-Event", "Push Hook", "Webhook-Id", "1", "Webhook-Timestamp",
		now, "Webhook-Signature", by(key, "1", now)).StatusCode; got != http.StatusForbidden {
		t.Errorf("with a secret of another form: %d", got)
	}
}
