package server

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/page"
)

// browser is a client with cookies.
type browser struct {
	*stage
	client *http.Client
	form   string
}

func newBrowser(t *testing.T, s *stage) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{stage: s, client: &http.Client{Jar: jar}}
}

func (b *browser) ask(
	t *testing.T, method, path, body string, header ...string,
) (status int, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, b.url+path,
		strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := b.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(got)
}

func (b *browser) want(t *testing.T, status int, method, path, body string, header ...string) {
	t.Helper()
	if got, text := b.ask(t, method, path, body, header...); got != status {
		t.Errorf("%s %s %q is answered by %d, want %d: %s", method, path, header, got, status, text)
	}
}

func (b *browser) signIn(t *testing.T, token string) {
	t.Helper()
	status, text := b.ask(t, http.MethodPost, "/v1/session", `{"token":"`+token+`"}`)
	if status != http.StatusOK {
		t.Fatalf("signing in is answered by %d: %s", status, text)
	}
	b.form = decode[sessionState](t, response{text: text}).Form
}

// TestSessions: a browser signs in with a token, its requests that change something show that the
// page made them, and only the session of an operator may cancel and prune.
func TestSessions(t *testing.T) {
	const path = "/v1/images/there"
	token, operators := strings.Repeat("t", MinToken), strings.Repeat("o", MinToken)
	var log syncBuffer
	s := newStage(t, WithToken(token), WithOperatorToken(operators),
		WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	b := newBrowser(t, s)
	b.want(t, 200, http.MethodGet, "/", "")
	b.want(t, 401, http.MethodGet, "/v1/builds", "")
	b.want(t, 401, http.MethodPost, "/v1/session", `{"token":"wrong"}`)
	b.want(t, 401, http.MethodGet, "/v1/builds", "")
	b.signIn(t, token)
	b.want(t, 200, http.MethodGet, "/v1/builds", "")
	b.want(t, 403, http.MethodPost, path, "")
	b.want(t, 403, http.MethodPost, path, "", page.FormHeader, "guessed")
	b.want(t, 403, http.MethodPost, path, "", page.FormHeader, b.form, "Sec-Fetch-Site",
		"cross-site")
	b.want(t, 403, http.MethodPost, path, "", page.FormHeader, b.form, "Origin",
		"https://elsewhere.example")
	b.want(t, 200, http.MethodPost, path, "", page.FormHeader, b.form, "Sec-Fetch-Site",
		"same-origin")
	b.want(t, 403, http.MethodPost, "/v1/prune", "", page.FormHeader, b.form)

	operator := newBrowser(t, s)
	operator.signIn(t, operators)
	operator.want(t, 403, http.MethodPost, "/v1/prune", "", page.FormHeader, b.form)
	operator.want(t, 200, http.MethodPost, "/v1/prune", "", page.FormHeader, operator.form)
	// A wrong token is not made good by a session.
	operator.want(t, 401, http.MethodGet, "/v1/builds", "", "Authorization", "Bearer wrong")

	b.want(t, 403, http.MethodDelete, "/v1/session", "")
	b.want(t, 204, http.MethodDelete, "/v1/session", "", page.FormHeader, b.form)
	b.want(t, 401, http.MethodGet, "/v1/builds", "")
	if strings.Contains(log.String(), token) || strings.Contains(log.String(), b.form) {
		t.Errorf("a secret is in the log:\n%s", &log)
	}
}

// TestAnotherSitesPage: without a token a browser could be made to send requests for any site.
func TestAnotherSitesPage(t *testing.T) {
	b := newBrowser(t, newStage(t))
	b.want(t, 403, http.MethodPost, "/v1/images/there", "", "Sec-Fetch-Site", "cross-site")
	b.want(t, 403, http.MethodPost, "/v1/images/there", "", "Origin", "null")
	b.want(t, 200, http.MethodPost, "/v1/images/there", "")
	b.want(t, 200, http.MethodGet, "/v1/builds", "", "Sec-Fetch-Site", "cross-site")
}
