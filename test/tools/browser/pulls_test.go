package browser

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// TestPullRequest: each view that has builds or images shows the number of a pull request, and the
// template's own image is another.
func TestPullRequest(t *testing.T) {
	s := newScene(t)
	const name = "gemini-cli"
	s.push(t, name, "first", "RUN echo main")
	repo := parts.Repo{Owner: parts.Admin, Name: name}
	_, err := s.gitea.Push(t.Context(), repo, parts.Commit{Branch: "feature", From: "main",
		Files: partstest.BusyboxTemplate(t, "RUN echo of the pull request")})
	if err != nil {
		t.Fatal(err)
	}
	number, err := s.gitea.OpenPull(t.Context(), s.gitea.Administrator(), repo, "feature")
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(config, []byte("templates:\n- {name: "+name+", pull_requests: {}}\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	own := *s
	own.env = append(slices.Clone(s.env), "PINION_HISTORY="+t.TempDir(), "PINION_CONFIG="+config)
	found, stop := own.start(t, regexp.MustCompile(`serving at tcp://([\d.:]+)`), "serve",
		"--listen", "tcp://127.0.0.1:0")
	t.Cleanup(stop)
	own.url = "http://" + found
	own.ensure(t, name)
	var got struct{ Build struct{ ID string } }
	body := fmt.Sprintf(`{"pull_request": %d}`, number)
	if status := own.ask(t, http.MethodPost, "/v1/images/"+name, body, &got); status != 202 {
		t.Fatalf("the request is answered by %d", status)
	}
	b := newTab(t, &own, 1200, 900)
	b.signIn(t, operators)
	b.open(t, "#/builds/"+got.Build.ID)
	b.see(t, "delivered by")
	b.see(t, fmt.Sprintf("gemini-cli:pr-%d-", number))
	b.shows(t, ".facts", fmt.Sprintf("#%d ", number))
	b.open(t, "#/")
	b.shows(t, "ul.list", fmt.Sprintf("#%d ", number))
	b.open(t, "#/history")
	b.shows(t, "tbody td", fmt.Sprintf("#%d ", number))
	b.open(t, "#/store")
	b.shows(t, "tbody th", fmt.Sprintf("(pull request %d)", number))
	b.open(t, "#/templates")
	b.until(t, "the template up to date", rowOf(name)+"?.innerText.includes('up to date')")
	b.shows(t, "td details", "1 image of pull requests")
	b.do(t, script(rowOf(name)+".querySelector('details').open = true"))
	b.shows(t, "td .commits", fmt.Sprintf("#%d ", number))
	b.accessible(t)
}
