package browser

import (
	"crypto/sha256"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// serveOwn starts a server of the test's own with a history of its own.
func (s *scene) serveOwn(t *testing.T, env []string, args ...string) (own *scene, stop func()) {
	t.Helper()
	own = &scene{gitea: s.gitea, binary: s.binary, history: t.TempDir()}
	own.env = append(slices.Clone(s.env), append(env, "PINION_HISTORY="+own.history)...)
	found, stop := own.start(t, regexp.MustCompile(`serving at tcp://([\d.:]+)`),
		append([]string{"serve", "--listen", "tcp://127.0.0.1:0"}, args...)...)
	own.url = "http://" + found
	return own, stop
}

// catalogue writes a config file with templates, by their repositories.
func catalogue(t *testing.T, entries map[string]string) string {
	t.Helper()
	text := "templates:\n"
	for name, repo := range entries {
		text += fmt.Sprintf("- {name: %s, repo: %q}\n", name, repo)
	}
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// alone is the environment of a server whose catalogue has a template that is the test's own.
func (s *scene) alone(t *testing.T, name string) []string {
	t.Helper()
	return []string{"PINION_CONFIG=" + catalogue(t, map[string]string{
		name: s.gitea.URL() + "/" + parts.Admin + "/" + name})}
}

// otherTab opens another tab of the same browser, which has the same cookies.
func (b *tab) otherTab(t *testing.T) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx)
	t.Cleanup(cancel)
	other := &tab{ctx: ctx, scene: b.scene, faults: &faults{own: b.scene.url}}
	call(t, other, network.Enable, network.EnableParams{}) // which begins the tab
	other.do(t, chromedp.Navigate(b.scene.url+"/"))
	return other
}

// TestOddAddresses: whatever the address has after the #, the page shows a view, also on the
// smallest of telephones, and none of it becomes HTML.
func TestOddAddresses(t *testing.T) {
	s := newScene(t)
	b := newTab(t, s, 320, 640)
	b.signIn(t, operators)
	for _, c := range []struct{ hash, title, shows string }{
		{"#/%", "Now", "Ended last"},
		{"#/constructor", "Now", "Ended last"},
		{"#/builds/%3Cimg%20src=x%3E", "Build", "There is no such build"},
		{"#/builds/%E0%A4%A", "Build", "There is no such build"},
		{"#/compare/a/b", "Two builds", "There is no such build"},
		{"#/history?kind=odd", "History", "kind: use some of"},
		{"#/history?since=never&name=%3Cb%3Enobody", "History", "There is no such build."},
		{"#/templates", "Templates", "hermes"},
		{"#/store", "Store", "in images"},
	} {
		b.open(t, c.hash)
		b.shows(t, "h1", c.title)
		b.see(t, c.shows)
		if n := eval[int](t, b, `document.querySelectorAll("main img, main b").length`); n != 0 {
			t.Errorf("%s: %d elements came out of it", c.hash, n)
		}
		if eval[bool](t, b, `document.documentElement.scrollWidth > innerWidth`) {
			t.Errorf("%s is wider than a telephone", c.hash)
		}
	}
	b.accessible(t)
}

// TestOutputForATerminal: colours go, what else a terminal would take for commands is visible, and
// a line without end neither widens the page nor hides what comes after it.
func TestOutputForATerminal(t *testing.T) {
	s := newScene(t)
	const name = "terminal"
	s.push(t, name, "first", `RUN printf '\033[1;31mred\033[0m \033[2Jcleared\n' && `+
		`printf '10%%\r100%%\n' && head -c 100000 /dev/zero | tr '\0' x && echo && exit 4`)
	own, stop := s.serveOwn(t, s.alone(t, name))
	t.Cleanup(stop)
	id := own.ensure(t, name)
	b := newTab(t, own, 320, 640)
	b.signIn(t, operators)
	b.open(t, "#/builds/"+id)
	b.see(t, "exit code: 4")
	for _, selector := range []string{".last", ".log"} {
		b.shows(t, selector, `red \x1b[2Jcleared`)
		b.shows(t, selector, `10%\x0d100%`)
	}
	if eval[bool](t, b, `document.documentElement.scrollWidth > innerWidth`) {
		t.Error("the build is wider than a telephone")
	}
	if high := eval[float64](t, b, `document.querySelector(".last").offsetHeight`); high > 500 {
		t.Errorf("what was printed last takes %v pixels", high)
	}
	b.accessible(t)
}

// TestManyTemplates: a thousand templates are shown while the page answers, those with a build that
// many others came after have its outcome, and what waits for a git server says for how long.
func TestManyTemplates(t *testing.T) {
	s := newScene(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // a git server that never answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	templates := map[string]string{"a-silent": "http://" + silent.Addr().String() + "/a/silent"}
	for i := range 1000 {
		name := fmt.Sprintf("template-%04d", i)
		templates[name] = s.gitea.URL() + "/nobody/" + name
	}
	own, stop := s.serveOwn(t, []string{"PINION_CONFIG=" + catalogue(t, templates)})
	t.Cleanup(stop)
	b := newTab(t, own, 1200, 900)
	b.signIn(t, operators)
	b.open(t, "#/history")
	b.see(t, "There is no such build.") // in an empty history
	writeBuildOf(t, own.history, "template-0007", "OLD", 1, true)
	for i := range 500 {
		writeBuildOf(t, own.history, "template-0008", fmt.Sprint("NEW", i), 1, true)
	}
	b.open(t, "#/templates")
	b.until(t, "all templates", `document.querySelectorAll("tbody tr").length > 1000`)
	b.until(t, "the seconds", `/ … [1-9]\d* s$/.test(`+rowOf("a-silent")+
		`.querySelector(".empty").innerText)`)
	b.until(t, "the outcome of a build of long ago", rowOf("template-0007")+
		`.querySelector('a[href="#/builds/OLD"] .badge.bad')`)
	b.open(t, "#/")
	b.see(t, "Ended last")
}

// TestSessionEnds: a page whose session has ended, because its token was revoked or the server was
// restarted, says so, and goes on where it was.
func TestSessionEnds(t *testing.T) {
	s := newScene(t)
	tokens := filepath.Join(t.TempDir(), "tokens.yaml")
	write := func(names ...string) {
		t.Helper()
		text := "tokens:\n"
		for _, name := range names {
			text += fmt.Sprintf("- {name: %s, sha256: %x, rights: [see]}\n", name,
				sha256.Sum256([]byte("the-token-of-"+name)))
		}
		if err := os.WriteFile(tokens+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(tokens+".new", tokens); err != nil {
			t.Fatal(err)
		}
	}
	write("ann", "bob")
	own, stop := s.serveOwn(t, nil, "--tokens-file", tokens)
	b := newTab(t, own, 1200, 900)
	b.signIn(t, "the-token-of-ann")
	b.see(t, "Nothing is built at the moment.")
	write("bob")
	b.see(t, "The session has ended.")
	b.do(t, chromedp.SendKeys("#token", "the-token-of-ann\r"))
	b.see(t, "The token is wrong")
	b.signIn(t, "the-token-of-bob")
	b.open(t, "#/history")
	b.see(t, "There is no such build.")
	b.open(t, "#/")
	stop()
	b.see(t, "The server does not answer; the page asks again.")
	_, stop = own.start(t, regexp.MustCompile(`serving at tcp://([\d.:]+)`), "serve", "--listen",
		"tcp://"+strings.TrimPrefix(own.url, "http://"), "--tokens-file", tokens)
	t.Cleanup(stop)
	b.see(t, "The session has ended.")
	b.accessible(t)
	b.do(t, chromedp.SendKeys("#token", "the-token-of-bob\r"))
	b.see(t, "Nothing is built at the moment.")
}

// TestTwoTabs: a tab goes on after another one of the browser has signed in anew.
func TestTwoTabs(t *testing.T) {
	s := newScene(t)
	const name = "two-tabs"
	s.push(t, name, "first", "RUN echo two tabs")
	own, stop := s.serveOwn(t, s.alone(t, name))
	t.Cleanup(stop)
	b := newTab(t, own, 1200, 900)
	b.signIn(t, operators)
	b.open(t, "#/templates")
	b.until(t, "the template", rowOf(name)+"?.innerText.includes('not built')")
	other := b.otherTab(t)
	other.do(t, chromedp.WaitVisible("nav a")) // it is signed in
	other.click(t, "body", "Sign out")
	other.signIn(t, operators)
	b.warm(t, name)
}
