package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/access"
)

// document is openapi.yaml, for comparison with responses.
type document struct {
	root     map[string]any
	compiler *jsonschema.Compiler
	// seen has the operations and statuses of all responses: "GET /healthz 200".
	seen map[string]bool
}

const documentURL = "http://pinion.invalid/openapi.json"

func readDocument(t *testing.T) *document {
	t.Helper()
	var tree any
	if err := yaml.Unmarshal(OpenAPI, &tree); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	root, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	// Clients must tolerate unknown members, but the server must not send any.
	seal(root)
	d := &document{root.(map[string]any), jsonschema.NewCompiler(), map[string]bool{}}
	d.compiler.AssertFormat()
	if err := d.compiler.AddResource(documentURL, root); err != nil {
		t.Fatal(err)
	}
	return d
}

func seal(node any) {
	switch n := node.(type) {
	case map[string]any:
		_, isClosed := n["additionalProperties"]
		if n["type"] == "object" && n["properties"] != nil && !isClosed {
			n["additionalProperties"] = false
		}
		for _, child := range n {
			seal(child)
		}
	case []any:
		for _, child := range n {
			seal(child)
		}
	}
}

// resolve follows a reference inside the document and returns its target and path.
func (d *document) resolve(t *testing.T, node map[string]any, at string) (map[string]any, string) {
	t.Helper()
	ref, ok := node["$ref"].(string)
	if !ok {
		return node, at
	}
	var here any = d.root
	for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		here = here.(map[string]any)[part]
	}
	found, ok := here.(map[string]any)
	if !ok {
		t.Fatalf("%s has no target", ref)
	}
	return found, ref
}

func escape(s string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(s)
}

// check compares a response with the document.
func (d *document) check(t *testing.T, method, path string, a response) {
	t.Helper()
	what := fmt.Sprintf("%s %s %d", method, path, a.StatusCode)
	d.seen[what] = true
	item, _ := d.root["paths"].(map[string]any)[path].(map[string]any)
	operation, _ := item[strings.ToLower(method)].(map[string]any)
	if operation == nil {
		t.Errorf("%s is not described", what)
		return
	}
	status := fmt.Sprint(a.StatusCode)
	found, ok := operation["responses"].(map[string]any)[status].(map[string]any)
	if !ok {
		t.Errorf("%s is not described: %s", what, a.text)
		return
	}
	response, at := d.resolve(t, found,
		"#/paths/"+escape(path)+"/"+strings.ToLower(method)+"/responses/"+status)
	content, _ := response["content"].(map[string]any)
	kind, _, _ := strings.Cut(a.Header.Get("Content-Type"), ";")
	if content == nil {
		if a.text != "" {
			t.Errorf("%s has a body: %s", what, a.text)
		}
		return
	}
	if content[kind] == nil {
		t.Errorf("%s has the type %q, described are %v", what, kind,
			slices.Sorted(maps.Keys(content)))
		return
	}
	if !strings.HasSuffix(kind, "json") {
		return
	}
	d.validate(t, what, at+"/content/"+escape(kind)+"/schema", a.text)
}

func (d *document) validate(t *testing.T, what, at, text string) {
	t.Helper()
	schema, err := d.compiler.Compile(documentURL + at)
	if err != nil {
		t.Fatalf("%s: %v", at, err)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%s: %v: %s", what, err, text)
	}
	if err := schema.Validate(value); err != nil {
		t.Errorf("%s: %v\n%s", what, err, text)
	}
}

// TestOpenAPI compares the document with the responses: every operation, every status that is
// possible here, every body.
func TestOpenAPI(t *testing.T) {
	d := readDocument(t)
	s := newStage(t, WithToken(strings.Repeat("t", MinToken)),
		WithHook(strings.Repeat("h", MinToken), affects("there")),
		WithPruneState(func() PruneState {
			run := PruneRun{Images: []PrunedImage{{Name: "there"}}, Error: "x"}
			return PruneState{Past: []PruneRun{run}}
		}), WithDisk(func(context.Context) (pinion.Disk, error) {
			return pinion.Disk{Images: true, Free: 1, Total: 2}, nil
		}),
		WithPullRequests(func(e PullRequestEvent) PullRequestAnswer {
			if e.Origin.SameRepository {
				return PullRequestAnswer{Known: true, Templates: []string{"there"}}
			}
			return PullRequestAnswer{Known: true, Refused: []string{"there: it is from a fork"}}
		}),
		withLimits(func(l *limits) { l.interests = 1 }))
	token := []string{"Authorization", "Bearer " + strings.Repeat("t", MinToken)}
	ask := func(method, path, at, body string, header ...string) response {
		t.Helper()
		a := s.ask(t, method, at, body, append(slices.Clone(header), token...)...)
		d.check(t, method, path, a)
		return a
	}
	const images, builds, events = "/v1/images/{name}", "/v1/builds/{id}",
		"/v1/builds/{id}/events"
	const cancel, retry = builds + "/cancel", builds + "/retry"
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/openapi.yaml", "/v1/images",
		"/v1/templates", "/v1/builds", "/v1/usage", "/v1/doctor", "/v1/session"} {
		ask(http.MethodGet, path, path, "")
	}
	const head, session, prune = "/v1/templates/{name}", "/v1/session", "/v1/prune"
	ask(http.MethodGet, head, "/v1/templates/there", "")
	ask(http.MethodGet, head, "/v1/templates/there?since="+strings.Repeat("a", 40), "")
	ask(http.MethodGet, head, "/v1/templates/there?since=a", "")
	for _, name := range []string{"unknown", "leaks", "away"} {
		ask(http.MethodGet, head, "/v1/templates/"+name, "")
	}
	for _, body := range []string{`{"token":"` + strings.Repeat("t", MinToken) + `"}`,
		`{"token":"x"}`, `{"unheard":1}`, strings.Repeat(" ", 20<<10)} {
		ask(http.MethodPost, session, session, body)
	}
	ask(http.MethodPost, session, session, "{}", "Sec-Fetch-Site", "cross-site")
	d.check(t, http.MethodPost, session, s.ask(t, http.MethodPost, session, "{}", "Content-Type",
		"text/plain"))
	ask(http.MethodDelete, session, session, "", "Sec-Fetch-Site", "cross-site")
	ask(http.MethodDelete, session, session, "")
	d.check(t, http.MethodDelete, session, s.ask(t, http.MethodDelete, session, ""))
	ask(http.MethodPost, prune, prune, "")
	for _, c := range []struct{ name, body string }{
		{"there", ""}, {"unknown", ""}, {"leaks", ""}, {"there", `{"unheard":1}`}, {"panics", ""},
		{"there", `{"no_cache":true,"pull":true}`}, {"there", strings.Repeat(" ", 20<<10)},
		{"there", `{"revision":"` + strings.Repeat("a", 40) + `","any_revision":true}`},
	} {
		ask(http.MethodPost, images, "/v1/images/"+c.name, c.body)
		s.interestsOf(t, 0)
	}
	d.check(t, http.MethodPost, images, s.ask(t, http.MethodPost, "/v1/images/there", "{}",
		append(token, "Content-Type", "text/plain")...))

	a := ask(http.MethodPost, images, "/v1/images/made", "")
	ask(http.MethodPost, images, "/v1/images/made", "") // one too many
	ask(http.MethodGet, head, "/v1/templates/there", "")
	var got acceptance
	if err := json.Unmarshal([]byte(a.text), &got); err != nil {
		t.Fatal(err)
	}
	at := "/v1/builds/" + got.Build.ID
	if loc := a.Header.Get("Location"); loc != at {
		t.Errorf("the location is %q", loc)
	}
	ask(http.MethodGet, builds, at, "")
	ask(http.MethodGet, builds, "/v1/builds/no-such", "")
	ask(http.MethodGet, events, "/v1/builds/no-such/events", "")
	ask(http.MethodGet, events, at+"/events", "", "Last-Event-ID", "x")
	ask(http.MethodDelete, builds, "/v1/builds/no-such", "")
	ask(http.MethodDelete, builds, at, "", "Pinion-Interest", "another's")
	ask(http.MethodDelete, builds, at, "", "Pinion-Interest", got.Interest)
	eventually(t, "the end of the build", func() bool {
		return s.ask(t, http.MethodDelete, at, "", token...).StatusCode == http.StatusConflict
	})
	ask(http.MethodDelete, builds, at, "")
	ask(http.MethodGet, builds, at, "")
	ask(http.MethodGet, "/v1/builds", "/v1/builds", "")
	ask(http.MethodGet, events, at+"/events", "")
	ask(http.MethodGet, events, at+"/events", "", "Last-Event-ID", "99")
	ask(http.MethodPost, cancel, at+"/cancel", "")
	s.fixed[0].Rights = access.Rights()
	ask(http.MethodPost, prune, prune, "")
	ask(http.MethodPost, prune, prune, `{"keep":1,"dry_run":true}`)
	ask(http.MethodPost, prune, prune, `{"keep":-1}`)
	ask(http.MethodPost, prune, prune, strings.Repeat(" ", 20<<10))
	d.check(t, http.MethodPost, prune, s.ask(t, http.MethodPost, prune, "{}",
		append(token, "Content-Type", "text/plain")...))
	ask(http.MethodPost, cancel, "/v1/builds/no-such/cancel", "")
	ask(http.MethodPost, cancel, at+"/cancel", "")
	ask(http.MethodPost, retry, "/v1/builds/no-such/retry", "")
	ask(http.MethodPost, retry, "/v1/builds/no-such/retry", "", "Sec-Fetch-Site", "cross-site")
	again := ask(http.MethodPost, retry, at+"/retry", "")
	ask(http.MethodPost, retry, at+"/retry", "") // one too many
	ask(http.MethodPost, cancel, again.Header.Get("Location")+"/cancel", "")
	s.interestsOf(t, 0)
	ended := s.backend.all[0]
	for _, name := range []string{"there", "leaks", "away"} {
		ended.setStatus(func(b *pinion.BuildStatus) { b.Name = name })
		ask(http.MethodPost, retry, at+"/retry", "")
	}
	ended.setStatus(func(b *pinion.BuildStatus) { b.Pinned, b.Revision = true, b.SupersededBy })
	ask(http.MethodPost, retry, at+"/retry", "")
	s.history = unreadable{}
	ask(http.MethodGet, "/v1/builds", "/v1/builds", "")
	ask(http.MethodGet, builds, "/v1/builds/no-such", "")
	ask(http.MethodGet, events, "/v1/builds/no-such/events", "")
	ask(http.MethodPost, cancel, "/v1/builds/no-such/cancel", "")
	s.history = nil
	for _, c := range []struct {
		err    error
		status int
	}{{pinion.ErrBuild, 422}, {pinion.ErrStalled, 504}, {pinion.ErrTimeLimit, 504},
		{pinion.ErrUnavailable, 502}, {pinion.ErrUnauthorized, 502}, {pinion.ErrVerification, 500},
		{pinion.ErrNoBuilder, 503}} {
		done := make(chan response)
		go func() { done <- ask(http.MethodPost, images, "/v1/images/failing?wait=1", "") }()
		eventually(t, "a build", func() bool { return s.backend.build("failing") != nil })
		b := s.backend.build("failing")
		s.backend.mu.Lock()
		delete(s.backend.builds, "failing")
		s.backend.mu.Unlock()
		b.end(pinion.Image{}, &pinion.Error{Name: "failing",
			Origin: pinion.OriginBuildKit, Err: c.err})
		if got := <-done; got.StatusCode != c.status {
			t.Errorf("%v is answered by %d", c.err, got.StatusCode)
		}
	}

	for _, d := range deliveries(strings.Repeat("h", MinToken)) {
		path := "/v1/hooks/" + d.forge
		ask(http.MethodPost, path, path, d.body, d.header...)
	}
	for _, d := range pullDeliveries(t, strings.Repeat("h", MinToken)) {
		path := "/v1/hooks/" + d.forge
		ask(http.MethodPost, path, path, d.body, d.header...)
	}
	for _, f := range hookForges() {
		path := "/v1/hooks/" + f.name
		for _, body := range []string{`{"repository":{"full_name":"a/b"},"ref":"refs/heads/x"}`,
			"{}", strings.Repeat(" ", 2<<20)} {
			header := signedAs(f, strings.Repeat("h", MinToken), body)
			ask(http.MethodPost, path, path, body, header...)
			ask(http.MethodPost, path, path, body, header...)
			ask(http.MethodPost, path, path, body, append(header, f.event, "other")...)
			ask(http.MethodPost, path, path, body, append(header, "Content-Type", "text/plain")...)
		}
		ask(http.MethodPost, path, path, "{}", "Content-Type", "application/json")
	}

	for _, err := range []error{errors.New("x"),
		&pinion.Error{Origin: pinion.OriginDocker, Err: pinion.ErrStore}} {
		s.backend.ready = err
		ask(http.MethodGet, "/readyz", "/readyz", "")
		ask(http.MethodGet, "/v1/images", "/v1/images", "")
		ask(http.MethodGet, "/v1/usage", "/v1/usage", "")
		ask(http.MethodPost, prune, prune, "")
	}
	s.abortWaits()
	ask(http.MethodGet, "/v1/activity", "/v1/activity", "")
	s.gate.close()
	ask(http.MethodGet, "/readyz", "/readyz", "")
	ask(http.MethodPost, images, "/v1/images/there", "")
	plain := newStage(t)
	for _, f := range hookForges() {
		path := "/v1/hooks/" + f.name
		d.check(t, http.MethodPost, path, plain.ask(t, http.MethodPost, path, "{}"))
	}
	bare := func(path string) string { return strings.NewReplacer("{", "", "}", "").Replace(path) }
	for path, item := range d.root["paths"].(map[string]any) {
		for method, operation := range item.(map[string]any) {
			if o, ok := operation.(map[string]any); ok && o["security"] == nil {
				ask(strings.ToUpper(method), path, bare(path)+"?unheard=1", "")
			}
		}
	}
	token = nil
	for path, item := range d.root["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			if method != "parameters" && !strings.HasPrefix(path, "/v1/hooks/") &&
				!slices.Contains([]string{"/healthz", "/readyz", session}, path) {
				ask(strings.ToUpper(method), path, bare(path), "")
			}
		}
	}
	d.wantAllOperations(t, s.routes())
	d.validateEvents(t)
}

// validateEvents compares the library's own events with the document.
func (d *document) validateEvents(t *testing.T) {
	t.Helper()
	img := imageOf("x", pinion.OutcomeBuilt)
	for _, e := range []pinion.Event{
		{Type: pinion.EventResolved, Revision: revision(t, "a"), Reference: "r:1", Prewarmed: true},
		{Type: pinion.EventQueued, Position: 3},
		{Type: pinion.EventStep, Step: &pinion.Step{Number: 1, Total: 2, Name: "RUN make",
			State: pinion.StepCached}},
		{Type: pinion.EventLog, Text: "x",
			Step: &pinion.Step{Number: 1, Total: 2, Name: "RUN make"}},
		{Type: pinion.EventNotice, Text: "x"},
		{Type: pinion.EventCheck, Text: "x", Check: &pinion.BuildCheck{Rule: "A", Text: "x",
			Detail: "d", URL: "https://u", File: "Dockerfile", Line: 1}},
		{Type: pinion.EventStillBuilding, Text: "x", Elapsed: 20000,
			Step: &pinion.Step{Number: 1, Total: 2, Name: "RUN make", State: pinion.StepStarted}},
		{Type: pinion.EventDelivering, Bytes: 1}, {Type: pinion.EventDone, Image: &img},
		{Type: pinion.EventFailed, Failure: &pinion.Failure{Message: "x", Class: pinion.ClassLock,
			Origin: pinion.OriginCache, Step: "[1/2] RUN make", Log: []string{"line"},
			Checks: []pinion.BuildCheck{{Text: "x"}}}},
	} {
		e.ID, e.Name = 1, "x"
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		d.validate(t, "event "+string(e.Type), "#/components/schemas/Event", string(text))
	}
	text, err := json.Marshal(pinion.BuildStatus{ID: "1", Name: "x", Reference: "r:1",
		State: "queued", Position: 1, Queued: 5, AskedBy: "x", Pinned: true, Reason: "x"})
	if err != nil || !strings.Contains(string(text), `"queued_ms":5`) {
		t.Fatalf("%s, %v", text, err)
	}
	d.validate(t, "status", "#/components/schemas/Build", string(text))
}

// TestOriginsAreInTheDocument compares the constants of the library with the document.
func TestOriginsAreInTheDocument(t *testing.T) {
	api, err := os.ReadFile("../../../api.txt")
	if err != nil {
		t.Fatal(err)
	}
	d := readDocument(t)
	found := regexp.MustCompile(`(?m)^const Origin\w+ Origin = (".+")$`).FindAllSubmatch(api, -1)
	if len(found) < 8 {
		t.Fatalf("api.txt has %d origins", len(found))
	}
	for _, m := range found {
		d.validate(t, "origin", "#/components/schemas/Origin", string(m[1]))
	}
}

// TestAProblemHasTheLogOfTheStep: clean, and as the document describes it.
func TestAProblemHasTheLogOfTheStep(t *testing.T) {
	s := newStage(t)
	recorder := httptest.NewRecorder()
	s.writeProblem(recorder, httptest.NewRequest(http.MethodPost, "/v1/images/x", http.NoBody),
		failureProblem(pinion.Failure{Message: "failed", Class: pinion.ClassBuild,
			Step:   "[1/2] RUN \x1b[31m",
			Checks: []pinion.BuildCheck{{Rule: "A", Text: "red \x1b[31m", Line: 3}},
			Log:    []string{"compiling", "red \x1b[31m"}}))
	var p problem
	if err := json.Unmarshal(recorder.Body.Bytes(), &p); err != nil {
		t.Fatal(err)
	}
	if p.Status != 422 || p.Step != `[1/2] RUN \x1b[31m` ||
		!slices.Equal(p.Log, []string{"compiling", `red \x1b[31m`}) ||
		len(p.Checks) != 1 || p.Checks[0].Text != `red \x1b[31m` {
		t.Errorf("problem is %+v", p)
	}
	readDocument(t).validate(t, "problem", "#/components/schemas/Problem", recorder.Body.String())
}

// wantAllOperations compares the document with the routes, and both with the requests.
func (d *document) wantAllOperations(t *testing.T, routes []route) {
	t.Helper()
	routed := map[string]bool{}
	for _, r := range routes {
		routed[r.pattern] = true
	}
	for path, item := range d.root["paths"].(map[string]any) {
		for method, operation := range item.(map[string]any) {
			if method == "parameters" {
				continue
			}
			pattern := strings.ToUpper(method) + " " + path
			if !routed[pattern] {
				t.Errorf("%s is described but has no route", pattern)
			}
			delete(routed, pattern)
			for status := range operation.(map[string]any)["responses"].(map[string]any) {
				// Timeouts and concurrency limits have their own tests.
				limited := strings.Contains(path, "events") || strings.Contains(path, "hooks") ||
					path == "/v1/activity" || path == "/v1/session"
				if what := pattern + " " + status; !d.seen[what] && status != "408" &&
					!(status == "503" && limited) {
					t.Errorf("%s is described but was not seen", what)
				}
			}
		}
	}
	for pattern := range routed {
		t.Errorf("%s has a route but no description", pattern)
	}
}

// interestsOf waits until the server counts n interests.
func (s *stage) interestsOf(t *testing.T, n int) {
	t.Helper()
	eventually(t, "callers that have gone", func() bool { return len(s.interests) == n })
}
