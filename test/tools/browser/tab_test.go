package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// tab is a tab of a browser of its own, without cookies.
type tab struct {
	ctx   context.Context
	scene *scene
	*faults
}

// newTab opens one, of the given size in pixels.
func newTab(t *testing.T, s *scene, width, height int64) *tab {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal(err)
	}
	// As root Chromium has no sandbox, and /dev/shm may be small.
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path),
		chromedp.NoSandbox,
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.UserDataDir(t.TempDir()),
		chromedp.Env("TMPDIR="+t.TempDir()))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 5*time.Minute)
	t.Cleanup(cancel)
	ctx, endBrowser := chromedp.NewExecAllocator(ctx, opts...)
	t.Cleanup(endBrowser)
	ctx, closeTab := chromedp.NewContext(ctx)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil { // it removes what it has in /tmp
			t.Errorf("end the browser: %v", err)
		}
		closeTab()
	})
	b := &tab{ctx: ctx, scene: s, faults: &faults{own: s.url}}
	if err := chromedp.Listen(ctx, b.faults.see); err != nil {
		t.Fatal(err)
	}
	call(t, b, network.Enable, network.EnableParams{})
	call(t, b, log.Enable, cdp.Empty{})
	call(t, b, runtime.Enable, cdp.Empty{})
	b.do(t, chromedp.EmulateViewport(width, height))
	t.Cleanup(func() {
		for _, f := range b.faults.take() {
			t.Errorf("the page: %s", f)
		}
	})
	return b
}

// faults are what a page must not do: errors of scripts and of the security policy, and requests to
// other hosts.
type faults struct {
	own  string // the server
	mu   sync.Mutex
	list []string
}

func (f *faults) see(ev any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch ev := ev.(type) {
	case *runtime.EventExceptionThrown:
		what := ev.ExceptionDetails
		f.list = append(f.list, fmt.Sprint(what.Text, " ", what.Exception))
	case *log.EventEntryAdded:
		// What the server refuses is logged too; the tests of refusals look at the page.
		if ev.Entry.Source != log.EntrySourceNetwork {
			f.list = append(f.list, ev.Entry.Text)
		}
	case *network.EventRequestWillBeSent:
		u := ev.Request.URL
		if !slices.ContainsFunc([]string{f.own + "/", "blob:", "data:", "about:"},
			func(start string) bool { return strings.HasPrefix(u, start) }) {
			f.list = append(f.list, "a request to "+u)
		}
	}
}

func (f *faults) take() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := f.list
	f.list = nil
	return list
}

// call runs a command of the browser's protocol.
func call[P, R any](t *testing.T, b *tab, cmd cdp.Command[P, R], params P) {
	t.Helper()
	if _, err := chromedp.Call(b.ctx, cmd, params); err != nil {
		t.Fatal(err)
	}
}

// do runs actions, and shows the page if one fails.
func (b *tab) do(t *testing.T, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		t.Fatalf("%v; the page is\n%s", err, b.text())
	}
}

// text is what the page shows.
func (b *tab) text() string {
	ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerText`))
	if err != nil {
		return err.Error()
	}
	return text
}

// signIn opens the page with a token.
func (b *tab) signIn(t *testing.T, token string) {
	t.Helper()
	b.do(t, chromedp.Navigate(b.scene.url+"/"), chromedp.WaitVisible("#token"),
		chromedp.SendKeys("#token", token+kb.Enter), chromedp.WaitVisible("nav a"))
}

// open shows a view.
func (b *tab) open(t *testing.T, hash string) {
	t.Helper()
	b.do(t, script("location.hash = "+quote(hash)))
}

// eval returns what an expression comes to.
func eval[T any](t *testing.T, b *tab, expression string) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v; the page is\n%s", expression, err, b.text())
	}
	return v
}

// script runs statements.
func script(text string) chromedp.Action[chromedp.Void] {
	return chromedp.Evaluate[chromedp.Void](text)
}

// see waits until the page shows a text.
func (b *tab) see(t *testing.T, text string) {
	t.Helper()
	b.shows(t, "main", text)
}

// shows waits until an element of a selector has a text.
func (b *tab) shows(t *testing.T, selector, text string) {
	t.Helper()
	b.until(t, selector+" with "+text, `[...document.querySelectorAll(`+quote(selector)+
		`)].some((e) => e.innerText.includes(`+quote(text)+`))`)
}

// until waits for an expression to be true. The security policy of the page forbids chromedp's own
// way to poll.
func (b *tab) until(t *testing.T, what, expression string) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("Promise.resolve("+expression+
			").then(Boolean)", chromedp.EvalAwaitPromise)); err == nil && ok {
			return
		} else if time.Now().After(end) || b.ctx.Err() != nil {
			t.Fatalf("there is not: %s: %v; the page is\n%s", what, err, b.text())
		}
	}
}

// click presses the button of that text, inside the element of a selector.
func (b *tab) click(t *testing.T, inside, text string) {
	t.Helper()
	b.until(t, "the button "+text, fmt.Sprintf(
		`((b) => { b?.click(); return !!b; })([...document.querySelectorAll(%s + " button")]
			.find((b) => b.textContent === %s && !b.disabled))`, quote(inside), quote(text)))
}

func quote(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string
	}
	return string(quoted)
}

// violation is what axe-core finds.
type violation struct {
	ID     string `json:"id"`
	Impact string `json:"impact"`
	Help   string `json:"help"`
	Nodes  []struct {
		HTML string `json:"html"`
	} `json:"nodes"`
}

// accessible runs axe-core's rules on the page.
func (b *tab) accessible(t *testing.T) {
	t.Helper()
	path, err := parts.LocateAxe()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Logf("ACCESSIBILITY NOT TESTED: %v", err)
		return
	}
	rules, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b.do(t, script(string(rules)))
	found := eval[[]violation](t, b, `axe.run().then((r) =>
		r.violations.filter((v) => v.impact === "serious" || v.impact === "critical"))`)
	for _, f := range found {
		for _, n := range f.Nodes {
			t.Errorf("axe: %s %s: %s: %.200s", f.Impact, f.ID, f.Help, n.HTML)
		}
	}
}

// dark switches to dark mode.
func (b *tab) dark(t *testing.T, on bool) {
	t.Helper()
	value := "light"
	if on {
		value = "dark"
	}
	call(t, b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: value}}})
}

// shoot writes a screenshot into docs/page with UPDATE_SCREENSHOTS=1.
func (b *tab) shoot(t *testing.T, name string) {
	t.Helper()
	if os.Getenv("UPDATE_SCREENSHOTS") != "1" {
		return
	}
	b.do(t, chromedp.Sleep(400*time.Millisecond))
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join("..", "..", "..", "docs", "page")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		t.Fatal(err)
	}
}
