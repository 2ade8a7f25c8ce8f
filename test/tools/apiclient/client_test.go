package apiclient

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

const (
	quick = "langgraph"
	slow  = "autogen" // builds for minutes
)

// TestGeneratedClient drives every operation of the document with the client that is generated from
// it.
func TestGeneratedClient(t *testing.T) {
	notes := make(chan *http.Request, 16)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		notes <- r
	}))
	t.Cleanup(receiver.Close)
	url := startServer(t, receiver.URL, map[string][]string{
		quick: {"RUN echo made"}, slow: {"RUN sleep 600"}})
	operations := readOperations(t)
	c, err := NewClientWithResponses(url, WithHTTPClient(&http.Client{Transport: operations}),
		WithRequestEditorFn(asOperator))
	if err != nil {
		t.Fatal(err)
	}

	testProbes(t, c)
	built := testBuild(t, c)
	testEvents(t, c, built)
	testNotification(t, <-notes, built)
	testLists(t, c, built)
	testEnds(t, c)
	testSession(t, c)
	testHooks(t, c)
	testPrune(t, c)
	if left := slices.Sorted(maps.Keys(operations.left)); len(left) > 0 {
		t.Errorf("these operations were not driven: %v", left)
	}
}

func testProbes(t *testing.T, c *ClientWithResponses) {
	t.Helper()
	ctx := t.Context()
	health, err := c.HealthWithResponse(ctx)
	succeeded(t, "health", err, health, http.StatusOK)
	ready, err := c.ReadinessWithResponse(ctx)
	succeeded(t, "readiness", err, ready, http.StatusOK)
	if ready.JSON200.Status != "ready" {
		t.Errorf("the server is %q", ready.JSON200.Status)
	}
	metrics, err := c.MetricsWithResponse(ctx)
	succeeded(t, "metrics", err, metrics, http.StatusOK)
	document, err := c.DescribeWithResponse(ctx)
	succeeded(t, "the document", err, document, http.StatusOK)
	doctor, err := c.DoctorWithResponse(ctx)
	succeeded(t, "doctor", err, doctor, http.StatusOK)
	if len(doctor.JSON200.Checks) == 0 {
		t.Error("doctor found nothing")
	}
}

// testBuild builds a template, finds it again, and returns the build.
func testBuild(t *testing.T, c *ClientWithResponses) Build {
	t.Helper()
	ctx := t.Context()
	accepted, err := c.EnsureImageWithResponse(ctx, quick, nil, Wish{})
	succeeded(t, "ensure", err, accepted, http.StatusAccepted)
	wait := "2m"
	image, err := c.EnsureImageWithResponse(ctx, quick, &EnsureImageParams{Wait: &wait}, Wish{})
	succeeded(t, "ensure", err, image, http.StatusOK)
	if !strings.HasPrefix(image.JSON200.ImageId, "sha256:") || image.JSON200.Revision == nil {
		t.Errorf("the image is %s", image.Body)
	}
	unknown, err := c.EnsureImageWithResponse(ctx, "nonesuch", nil, Wish{})
	succeeded(t, "ensure", err, unknown, http.StatusNotFound)
	if p := unknown.ApplicationproblemJSON404; p.Class == nil || *p.Class != "not-found" ||
		p.ExitCode == nil || *p.ExitCode != 10 {
		t.Errorf("the problem is %s", unknown.Body)
	}
	show, err := c.ShowBuildWithResponse(ctx, accepted.JSON202.Build.Id)
	succeeded(t, "a build", err, show, http.StatusOK)
	if show.JSON200.State != "done" || show.JSON200.Image.ImageId != image.JSON200.ImageId {
		t.Errorf("the build is %s", show.Body)
	}
	return *show.JSON200
}

func testEvents(t *testing.T, c *ClientWithResponses, b Build) {
	t.Helper()
	events, err := c.StreamEventsWithResponse(t.Context(), b.Id, nil)
	succeeded(t, "events", err, events, http.StatusOK)
	var types []string
	in := bufio.NewScanner(bytes.NewReader(events.Body))
	for in.Scan() {
		if data, ok := strings.CutPrefix(in.Text(), "data: "); ok {
			var e Event
			if err := json.Unmarshal([]byte(data), &e); err != nil {
				t.Fatalf("%v: %s", err, data)
			}
			types = append(types, string(e.Type))
		}
	}
	if len(types) == 0 || types[0] != "resolved" || types[len(types)-1] != "done" ||
		!slices.Contains(types, "step") {
		t.Errorf("the events are %v", types)
	}
}

// testNotification checks the signature and the body of a notification.
func testNotification(t *testing.T, r *http.Request, b Build) {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, []byte(notifySecret))
	_, _ = fmt.Fprintf(mac, "%s.%s.%s", r.Header.Get("webhook-id"),
		r.Header.Get("webhook-timestamp"), body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	if got := r.Header.Get("webhook-signature"); got != want {
		t.Errorf("the signature is %q, and not %q", got, want)
	}
	var note Notification
	strict := json.NewDecoder(bytes.NewReader(body))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&note); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	if note.Event != "built" || note.Build.Id != b.Id {
		t.Errorf("the notification is %s", body)
	}
}

func testLists(t *testing.T, c *ClientWithResponses, b Build) {
	t.Helper()
	ctx, name, kind := t.Context(), quick, "done"
	builds, err := c.ListBuildsWithResponse(ctx, &ListBuildsParams{Name: &name, Kind: &kind})
	succeeded(t, "the builds", err, builds, http.StatusOK)
	if list := builds.JSON200.Builds; len(list) != 1 || list[0].Id != b.Id {
		t.Errorf("the builds are %s", builds.Body)
	}
	images, err := c.ListImagesWithResponse(ctx)
	succeeded(t, "the images", err, images, http.StatusOK)
	if list := images.JSON200.Images; len(list) != 1 || list[0].ImageId != b.Image.ImageId {
		t.Errorf("the images are %s", images.Body)
	}
	templates, err := c.ListTemplatesWithResponse(ctx)
	succeeded(t, "the templates", err, templates, http.StatusOK)
	if len(templates.JSON200.Templates) == 0 {
		t.Error("there is no template")
	}
	head, err := c.ShowTemplateWithResponse(ctx, quick, &ShowTemplateParams{Since: b.Revision})
	succeeded(t, "a template", err, head, http.StatusOK)
	if head.JSON200.Revision == nil || *head.JSON200.Revision != *b.Revision {
		t.Errorf("the head is %s", head.Body)
	}
	usage, err := c.ShowUsageWithResponse(ctx)
	succeeded(t, "the usage", err, usage, http.StatusOK)
	if usage.JSON200.Size == 0 {
		t.Errorf("the usage is %s", usage.Body)
	}
}

// testEnds ends builds by withdrawal and by cancellation, and repeats one.
func testEnds(t *testing.T, c *ClientWithResponses) {
	t.Helper()
	ctx := t.Context()
	begin := func() Accepted {
		accepted, err := c.EnsureImageWithResponse(ctx, slow, nil, Wish{})
		succeeded(t, "ensure", err, accepted, http.StatusAccepted)
		return *accepted.JSON202
	}
	ended := func(id string) {
		eventually(t, "the end of a build", func() bool {
			show, err := c.ShowBuildWithResponse(ctx, id)
			succeeded(t, "a build", err, show, http.StatusOK)
			return show.JSON200.Ended != nil
		})
	}
	a := begin()
	testActivity(t, c)
	withdrawn, err := c.WithdrawWithResponse(ctx, a.Build.Id,
		&WithdrawParams{PinionInterest: a.Interest})
	succeeded(t, "withdraw", err, withdrawn, http.StatusNoContent)
	ended(a.Build.Id)

	retry, err := c.RetryBuildWithResponse(ctx, a.Build.Id)
	succeeded(t, "retry", err, retry, http.StatusAccepted)
	cancel, err := c.CancelBuildWithResponse(ctx, retry.JSON202.Build.Id)
	succeeded(t, "cancel", err, cancel, http.StatusNoContent)
	ended(retry.JSON202.Build.Id)
}

// testActivity reads the beginning of the stream, which has no end.
func testActivity(t *testing.T, c *ClientWithResponses) {
	t.Helper()
	resp, err := c.ShowActivity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	in := bufio.NewScanner(resp.Body)
	for in.Scan() {
		if data, ok := strings.CutPrefix(in.Text(), "data: "); ok {
			var list Builds
			if err := json.Unmarshal([]byte(data), &list); err != nil || len(list.Builds) == 0 {
				t.Errorf("%v: %s", err, data)
			}
			return
		}
	}
	t.Errorf("the activity is answered by %d: %v", resp.StatusCode, in.Err())
}

func testSession(t *testing.T, c *ClientWithResponses) {
	t.Helper()
	ctx := t.Context()
	in, err := c.SignInWithResponse(ctx, SignInJSONRequestBody{Token: operators})
	succeeded(t, "sign in", err, in, http.StatusOK)
	show, err := c.ShowSessionWithResponse(ctx)
	succeeded(t, "the session", err, show, http.StatusOK)
	if !show.JSON200.Whole || !slices.Contains(show.JSON200.Rights, "prune") {
		t.Errorf("the session is %s", show.Body)
	}
	out, err := c.SignOutWithResponse(ctx)
	succeeded(t, "sign out", err, out, http.StatusNoContent)
}

// testHooks sends a push of each forge.
func testHooks(t *testing.T, c *ClientWithResponses) {
	t.Helper()
	ctx, ref, repo := t.Context(), "refs/heads/main", parts.Admin+"/"+quick
	send := func(body any) (reader io.Reader, signature string) {
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		mac := hmac.New(sha256.New, []byte(hookSecret))
		mac.Write(text)
		return bytes.NewReader(text), hex.EncodeToString(mac.Sum(nil))
	}
	push := Push{Ref: &ref}
	push.Repository.FullName = repo
	const kind = "application/json"
	want := []int{http.StatusAccepted, http.StatusNoContent} // the same body again is a replay

	body, signature := send(push)
	gitea, err := c.GiteaHookWithBodyWithResponse(ctx,
		&GiteaHookParams{XGiteaEvent: "push", XGiteaSignature: signature}, kind, body)
	succeeded(t, "Gitea's webhook", err, gitea, http.StatusAccepted)
	if list := gitea.JSON202.Templates; !slices.Contains(list, quick) {
		t.Errorf("the push affects %v", list)
	}
	body, signature = send(push)
	forgejo, err := c.ForgejoHookWithBodyWithResponse(ctx, &ForgejoHookParams{
		XForgejoEvent: "push", XForgejoSignature: &signature}, kind, body)
	succeeded(t, "Forgejo's webhook", err, forgejo, want...)
	body, signature = send(push)
	github, err := c.GithubHookWithBodyWithResponse(ctx, &GithubHookParams{
		XGitHubEvent: "push", XHubSignature256: "sha256=" + signature}, kind, body)
	succeeded(t, "GitHub's webhook", err, github, want...)

	lab := GitLabPush{Ref: &ref}
	lab.Project.PathWithNamespace = repo
	token := hookSecret
	gitlab, err := c.GitlabHookWithResponse(ctx, &GitlabHookParams{XGitlabEvent: "Push Hook",
		XGitlabToken: &token}, lab)
	succeeded(t, "GitLab's webhook", err, gitlab, want...)

	bucket := BitbucketPush{Repository: &BitbucketRepository{FullName: &repo}}
	body, signature = send(bucket)
	signature = "sha256=" + signature
	bitbucket, err := c.BitbucketHookWithBodyWithResponse(ctx, &BitbucketHookParams{
		XEventKey: "repo:push", XHubSignature: &signature}, kind, body)
	succeeded(t, "Bitbucket's webhook", err, bitbucket, want...)
}

func testPrune(t *testing.T, c *ClientWithResponses) {
	t.Helper()
	dry := true
	prune, err := c.PruneWithResponse(t.Context(), PruneWish{DryRun: &dry})
	succeeded(t, "prune", err, prune, http.StatusOK)
	if !prune.JSON200.DryRun {
		t.Errorf("the prune is %s", prune.Body)
	}
}
