package browser

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// TestLiveBuild: a build is seen from the queue to its end, with its steps, its log and its bytes,
// and another one that waits for it.
func TestLiveBuild(t *testing.T) {
	s := newScene(t)
	s.push(t, "claude-code", "first",
		`RUN for i in $(seq 12); do echo; echo "line $i of the build"; sleep 1; done`)
	s.push(t, "langgraph", "first", "RUN sleep 1")
	b := newTab(t, s, 1200, 900)
	b.signIn(t, operators)
	b.see(t, "Nothing is built at the moment.")
	first, second := s.begin(t, "claude-code"), s.begin(t, "langgraph")
	b.see(t, "queued, place 1")
	b.click(t, "body", "Sign out") // the session ends, and a new one shows the same
	b.signIn(t, operators)
	b.see(t, "line 3 of the build")
	b.shows(t, ".timeline .started .name", "RUN for")
	b.until(t, "times that go on", `((first) => new Promise((done) => setTimeout(() =>
		done(document.querySelector(".facts time").textContent !== first), 2500)))(
		document.querySelector(".facts time").textContent)`)
	b.until(t, "progress",
		`/\d+ of \d+ steps · \d/.test(document.querySelector(".progress").textContent)`)
	b.accessible(t)
	b.shoot(t, "now")
	b.see(t, "line 12 of the build")
	b.see(t, "delivered by")
	for _, id := range []string{first, second} {
		b.until(t, "the build in the list of what has ended",
			`document.querySelector('ul.list a[href="#/builds/`+id+`"]')`)
	}
	b.open(t, "#/builds/"+first)
	b.see(t, "line 12 of the build")
	b.until(t, "rows of steps that have ended",
		`document.querySelectorAll(".timeline li").length >= 4 &&
			!document.querySelector(".timeline .started")`)
	b.do(t, chromedp.SendKeys("input[type=search]", "LINE 1")) // past empty lines, in any case
	b.see(t, "1 of 4")
	b.do(t, chromedp.SendKeys("input[type=search]", kb.Enter))
	b.see(t, "2 of 4")
	b.shows(t, ".line.current", "line 10 of the build")
	b.until(t, "the line in sight", `(({top, bottom}) => top >= 0 && bottom <= innerHeight)(
		document.querySelector(".line.current").getBoundingClientRect())`)
	b.accessible(t)
	b.shoot(t, "build")
}

// TestFailingBuild: the page shows the line of the Dockerfile, and the build can be repeated.
func TestFailingBuild(t *testing.T) {
	s := newScene(t)
	s.push(t, "crewai", "first", "RUN echo before", "RUN echo the reason && exit 7")
	id := s.ensure(t, "crewai")
	b := newTab(t, s, 1200, 900)
	b.signIn(t, operators)
	b.see(t, "failed")
	b.open(t, "#/builds/"+id)
	b.see(t, "Failed: build")
	b.see(t, "exit code: 7")
	b.see(t, "the reason")
	b.until(t, "the line of the Dockerfile",
		`/Dockerfile:\d+/.test(document.querySelector(".result").innerText)`)
	b.shows(t, ".timeline .failed", "exit 7")
	b.accessible(t)
	b.shoot(t, "failure")
	b.click(t, ".actions", "Build again")
	b.until(t, "another build",
		`location.hash.startsWith("#/builds/") && !location.hash.endsWith("`+id+`")`)
	b.see(t, "Failed: build")
}

// TestCancel: an operator cancels, and a caller is told that it cannot.
func TestCancel(t *testing.T) {
	s := newScene(t)
	s.push(t, "autogen", "first", "RUN sleep 300")
	id := s.begin(t, "autogen")
	caller := newTab(t, s, 1200, 900)
	caller.signIn(t, token)
	caller.open(t, "#/builds/"+id)
	caller.see(t, "Operators can cancel this build.")
	b := newTab(t, s, 1200, 900)
	b.signIn(t, operators)
	b.open(t, "#/builds/"+id)
	b.see(t, "RUN sleep 300")
	b.click(t, ".actions", "Cancel")
	b.see(t, "cancelled")
	caller.see(t, "cancelled")
	var got struct{ State string }
	if s.ask(t, http.MethodGet, "/v1/builds/"+id, "", &got); got.State != "failed" {
		t.Errorf("the build is %q", got.State)
	}
}

// TestWarmAndPrune: a template that is behind is warmed, and the old image pruned after a
// confirmation.
func TestWarmAndPrune(t *testing.T) {
	s := newScene(t)
	s.push(t, "codex", "first", "RUN echo 1")
	b := newTab(t, s, 1200, 900)
	b.signIn(t, operators)
	row := func(text string) {
		t.Helper()
		b.until(t, "the row with "+text,
			rowOf("codex")+"?.innerText.includes("+quote(text)+")")
	}
	warm := func() {
		t.Helper()
		b.warm(t, "codex")
		b.open(t, "#/templates")
	}
	b.open(t, "#/templates")
	row("not built")
	warm()
	row("up to date")
	for i := range 3 {
		s.push(t, "codex", fmt.Sprintf("change %d", i+2), fmt.Sprintf("RUN echo %d", i+2))
		if i == 2 {
			b.open(t, "#/builders")
			b.open(t, "#/templates")
			row("behind by 1 commit")
			b.do(t, script(rowOf("codex")+".querySelector('details').open = true"))
			row("change 4")
			b.accessible(t)
			b.shoot(t, "templates")
		}
		warm()
		row("up to date")
	}
	b.open(t, "#/store")
	b.see(t, "can be pruned")
	b.click(t, "main", "What would go?")
	b.see(t, "It would free")
	b.see(t, "removed")
	b.accessible(t)
	b.shoot(t, "store")
	b.click(t, "main", "Prune …")
	b.click(t, "dialog", "Keep everything")
	b.click(t, "main", "Prune …")
	b.see(t, "free up to")
	b.click(t, "dialog", "Prune")
	b.see(t, "It freed")
	var got struct{ Images []struct{ Name string } }
	s.ask(t, http.MethodGet, "/v1/images", "", &got)
	n := 0
	for _, i := range got.Images {
		if i.Name == "codex" {
			n++
		}
	}
	if n != 2 {
		t.Errorf("%d images stay, want 2", n)
	}
}

// TestPrunedByTheServer: the store view has what a server removed by itself, and why.
func TestPrunedByTheServer(t *testing.T) {
	s := newScene(t)
	own := *s
	own.env = append(slices.Clone(s.env), "PINION_HISTORY="+t.TempDir(),
		"MOLECULE_LOCAL_BUILD_CACHE="+t.TempDir(), "MOLECULE_LOCAL_IMAGE_ISOLATION=pruned")
	for _, message := range []string{"first", "second"} {
		s.push(t, "openclaw", message, "RUN echo "+message)
		cmd := exec.CommandContext(t.Context(), s.binary, "ensure", "openclaw")
		cmd.Env = own.env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	found, stop := own.start(t, regexp.MustCompile(`serving at tcp://([\d.:]+)`), "serve",
		"--listen", "tcp://127.0.0.1:0", "--prune", "--keep", "1")
	t.Cleanup(stop)
	own.url = "http://" + found
	b := newTab(t, &own, 1200, 900)
	b.signIn(t, operators)
	b.until(t, "a prune", `fetch("/v1/usage").then((r) => r.json()).then((u) => u.prunes?.length)`)
	b.open(t, "#/store")
	b.see(t, "Pruned by the server")
	b.see(t, "by number, age and size")
	b.see(t, "not among the newest 1 of its template")
	b.see(t, "free where the images lie")
	b.accessible(t)
}

// unfold opens what can be unfolded in a table.
func (b *tab) unfold(t *testing.T) {
	t.Helper()
	b.do(t, script(`document.querySelectorAll("td details").forEach((d) => { d.open = true; })`))
}

// rowOf is the row of a template.
func rowOf(name string) string {
	return `[...document.querySelectorAll("tbody tr")].find((r) =>
		r.querySelector("th").innerText === ` + quote(name) + `)`
}

// warm presses the button of a template and waits for its image.
func (b *tab) warm(t *testing.T, name string) {
	t.Helper()
	b.until(t, "the button of the template",
		"((row) => { row?.querySelector('button').click(); return !!row; })("+rowOf(name)+")")
	b.see(t, "delivered by")
}

// TestHistory: filters, and two builds side by side.
func TestHistory(t *testing.T) {
	s := newScene(t)
	lines := []string{"RUN echo the same", "RUN echo one"}
	s.push(t, "hermes", "first", lines...)
	first := s.ensure(t, "hermes")
	lines[1] = "RUN echo two"
	s.push(t, "hermes", "second", lines...)
	second := s.ensure(t, "hermes")
	b := newTab(t, s, 1200, 900)
	b.signIn(t, token)
	b.open(t, "#/history")
	b.do(t, chromedp.WaitVisible("form.filters"),
		chromedp.SendKeys("input[name=name]", "hermes"+kb.Enter))
	b.until(t, "the two builds alone", `document.querySelectorAll("tbody tr").length === 2`)
	b.accessible(t)
	b.do(t, script(`document.querySelectorAll("tbody input").forEach((i) => i.click())`))
	b.shoot(t, "history")
	b.click(t, "main", "Compare two builds")
	b.see(t, "The instruction is new or has changed.")
	b.accessible(t)
	b.shoot(t, "compare")
	hash := eval[string](t, b, "location.hash")
	if !strings.Contains(hash, first) || !strings.Contains(hash, second) {
		t.Errorf("the address is %s", hash)
	}
	b.open(t, "#/builders")
	for check, says := range map[string]string{"platform": "linux/", "engine": "image store",
		"build cache": " records, ", "builder": "BuildKit"} {
		b.until(t, "the check of "+check, `[...document.querySelectorAll("ul.list li")].some((li) =>
			li.querySelector("strong").textContent === `+quote(check)+` &&
			li.innerText.includes(`+quote(says)+`))`)
	}
	b.accessible(t)
	b.shoot(t, "builders")
}

// TestReaderOfOneTemplate: the page shows what the token allows.
func TestReaderOfOneTemplate(t *testing.T) {
	s := newScene(t)
	s.push(t, "hermes", "for the reader", "RUN echo reader")
	s.push(t, "langgraph", "not for the reader", "RUN echo others")
	s.ensure(t, "langgraph")
	id := s.ensure(t, "hermes")
	b := newTab(t, s, 1200, 900)
	b.signIn(t, reader)
	b.shows(t, "ul.list", "hermes")
	if text := b.text(); strings.Contains(text, "langgraph") || strings.Contains(text, "Store") {
		t.Errorf("the reader sees\n%s", text)
	}
	b.open(t, "#/templates")
	b.until(t, "one template", `document.querySelectorAll("tbody tr").length === 1`)
	b.see(t, "up to date")
	b.open(t, "#/builds/"+id)
	b.see(t, "delivered by")
	if text := b.text(); strings.Contains(text, "Build again") {
		t.Errorf("the reader may build\n%s", text)
	}
}

// TestForeignText: what a template and its commits say stays text.
func TestForeignText(t *testing.T) {
	s := newScene(t)
	const attack = `<script>document.title="attacked"</script><img src=x onerror=alert(1)>`
	s.push(t, "deepagents", "first", "RUN echo built")
	s.ensure(t, "deepagents")
	s.push(t, "deepagents", attack,
		`RUN echo '`+attack+`' > '/<b>name' && echo '`+attack+`' && exit 3`)
	b := newTab(t, s, 1200, 900)
	b.signIn(t, operators)
	b.open(t, "#/templates")
	b.until(t, "commits", `document.querySelector("td .commits")`)
	b.unfold(t)
	b.shows(t, "td .commits", attack)
	id := s.ensure(t, "deepagents")
	b.open(t, "#/builds/"+id)
	b.see(t, "exit code: 3")
	b.shows(t, ".log", attack)
	b.shows(t, ".timeline .failed", "<b>name")
	n := eval[int](t, b, `document.querySelectorAll("main script, main img, main b").length`)
	if n != 0 {
		t.Errorf("%d elements came out of texts", n)
	}
	if title := eval[string](t, b, "document.title"); strings.Contains(title, "attacked") {
		t.Error("a script has run")
	}
}

// TestStolenForm: another site's page changes nothing, even in the browser of an operator.
func TestStolenForm(t *testing.T) {
	s := newScene(t)
	b := newTab(t, s, 1200, 900)
	b.signIn(t, operators)
	for _, header := range []string{"{}", `{"Pinion-Form": "guessed"}`} {
		b.until(t, "a refusal", `fetch("/v1/prune", {method: "POST", headers: `+header+`})
			.then((r) => r.status === 403)`)
	}
	if cookie := eval[string](t, b, "document.cookie"); cookie != "" {
		t.Errorf("scripts can read %q", cookie)
	}
	// A page of another site, with a form that sends itself to the server.
	other := http.NewServeMux()
	other.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `<!doctype html><form method=post enctype=text/plain action="%s/v1/prune">
			<input name=a value=b></form><script>document.forms[0].submit()</script>`, s.url)
	})
	site := serveElsewhere(t, other)
	b.do(t, chromedp.Navigate(site))
	b.until(t, "the answer to the form", `location.pathname === "/v1/prune"`)
	if text := b.text(); !strings.Contains(text, "urn:pinion:problem:") ||
		strings.Contains(text, "reclaimed") {
		t.Errorf("the form is answered by %s", text)
	}
	b.take() // the other site is another host
}

// TestSocket: `pinion page` shows the page of a server on a unix socket, to whoever has its link.
func TestSocket(t *testing.T) {
	s := newScene(t)
	s.push(t, "hermes", "for the socket", "RUN echo socket")
	own := *s
	own.env = append(slices.Clone(s.env), "PINION_SERVE_TOKEN=", "PINION_OPERATOR_TOKEN=",
		"PINION_HISTORY="+t.TempDir())
	socket := "unix://" + filepath.Join(partstest.Dir(t), "p.sock")
	_, stop := own.start(t, regexp.MustCompile(`serving at (unix://\S+)`), "serve", "--listen",
		socket)
	t.Cleanup(stop)
	link, end := own.start(t, regexp.MustCompile(`(http://\S+)`), "page", "--no-open", "--server",
		socket)
	t.Cleanup(end)
	own.url, _, _ = strings.Cut(link, "/open")
	b := newTab(t, &own, 1200, 900)
	b.do(t, chromedp.Navigate(link), chromedp.WaitVisible("nav a"))
	b.see(t, "Nothing is built at the moment.")
	b.open(t, "#/templates")
	b.warm(t, "hermes")
	b.do(t, chromedp.Navigate(link))
	if text := b.text(); !strings.Contains(text, "run `pinion page` again") {
		t.Errorf("the link opens once more: %s", text)
	}
}

// TestKeyboardAndTelephone: everything is reached without a mouse, and on a small screen nothing
// but tables and logs is wider than it.
func TestKeyboardAndTelephone(t *testing.T) {
	s := newScene(t)
	b := newTab(t, s, 390, 844)
	b.do(t, chromedp.Navigate(s.url+"/"), chromedp.WaitVisible("#token"))
	b.until(t, "the focus in the field", `document.activeElement.id === "token"`)
	b.do(t, chromedp.KeyEvent(operators+kb.Enter), chromedp.WaitVisible("nav a"))
	b.do(t, chromedp.Reload(), chromedp.WaitVisible("nav a"))
	visited := map[string]bool{}
	for range 6 {
		b.do(t, chromedp.KeyEvent(kb.Tab))
		visited[eval[string](t, b, `document.activeElement.textContent`)] = true
	}
	for _, name := range []string{"Now", "Templates", "History", "Store", "Builders"} {
		if !visited[name] {
			t.Errorf("the key Tab does not reach %s: %v", name, visited)
		}
	}
	for _, hash := range []string{"#/", "#/templates", "#/history", "#/store", "#/builders"} {
		b.open(t, hash)
		b.until(t, "the view "+hash,
			`document.querySelector("nav [aria-current]")?.getAttribute("href") === `+quote(hash))
		b.until(t, "no loading", `!document.querySelector("main").innerText.includes("…")`)
		if wide := eval[bool](t, b, `document.documentElement.scrollWidth > innerWidth`); wide {
			t.Errorf("%s is wider than a telephone", hash)
		}
		b.accessible(t)
	}
	b.shoot(t, "telephone")
	writeBuild(t, s.history, "TELEPHONE", 3, true)
	b.open(t, "#/builds/TELEPHONE")
	b.see(t, "line 3 of a long log")
	if wide := eval[bool](t, b, `document.documentElement.scrollWidth > innerWidth`); wide {
		t.Error("a build is wider than a telephone")
	}
	b.accessible(t)
	b.dark(t, true)
	back := eval[string](t, b, `getComputedStyle(document.body).backgroundColor`)
	if back != "rgb(20, 23, 28)" {
		t.Errorf("in dark mode the background is %s", back)
	}
	for _, hash := range []string{"#/", "#/history", "#/builders"} {
		b.open(t, hash)
		b.until(t, "no loading", `!document.querySelector("main").innerText.includes("…")`)
		b.accessible(t)
	}
	b.shoot(t, "dark")
}

// TestInterruptedBuild: a build whose process has ended is not shown as one that runs.
func TestInterruptedBuild(t *testing.T) {
	s := newScene(t)
	writeBuild(t, s.history, "INTERRUPTED", 3, false)
	b := newTab(t, s, 1200, 900)
	b.signIn(t, operators)
	b.open(t, "#/builds/INTERRUPTED")
	b.see(t, "The process that built it has ended before the build did.")
	b.see(t, "line 3 of a long log")
	b.see(t, "Build again")
	b.until(t, "no progress", `document.querySelector(".progress").textContent === ""`)
}

// TestLongLog: a log of 200,000 lines is shown, searched and scrolled while the page answers.
func TestLongLog(t *testing.T) {
	s := newScene(t)
	const lines = 200_000
	writeBuild(t, s.history, "LONGLOG", lines, true)
	b := newTab(t, s, 1200, 900)
	b.signIn(t, token)
	b.do(t, script(`window.longest = 0; let last = performance.now();
		setInterval(() => {
			const now = performance.now();
			window.longest = Math.max(window.longest, now - last - 20);
			last = now;
		}, 20);`))
	b.open(t, "#/builds/LONGLOG")
	b.see(t, "200000 lines")
	b.see(t, "line 200000 of a long log")
	b.do(t, chromedp.SendKeys("input[type=search]", "line 123456 of"))
	b.shows(t, ".line.current", "line 123456 of a long log")
	b.see(t, "1 of 1")
	if n := eval[int](t, b, `document.querySelectorAll(".line").length`); n > 200 {
		t.Errorf("%d lines are in the document", n)
	}
	// On an idle machine it stands still for less than a second. The bound is for a busy one.
	longest := eval[float64](t, b, "window.longest")
	t.Logf("the page stood still for at most %.0f ms", longest)
	if longest > 10_000 {
		t.Errorf("the page stood still for %.0f ms", longest)
	}
}

// writeBuild writes the journal of a build that printed some lines, and then failed or was
// interrupted.
func writeBuild(t *testing.T, dir, id string, lines int, fails bool) {
	t.Helper()
	writeBuildOf(t, dir, "claude-code", id, lines, fails)
}

// writeBuildOf is writeBuild for any template.
func writeBuildOf(t *testing.T, dir, name, id string, lines int, fails bool) {
	t.Helper()
	journals := filepath.Join(dir, "journals")
	if err := os.MkdirAll(journals, 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "new"))
	if err != nil {
		t.Fatal(err)
	}
	out := json.NewEncoder(f)
	at := time.Now().Add(-time.Hour).UTC()
	write := func(v any) {
		if err := out.Encode(v); err != nil {
			t.Fatal(err)
		}
	}
	build := map[string]any{"id": id, "name": name, "state": "running",
		"reference": "r:1", "command": "ensure", "started": at}
	write(map[string]any{"v": 1, "build": build})
	event := func(n int, e map[string]any) {
		e["id"], e["time"], e["name"] = n, at.Add(time.Duration(n)*time.Millisecond), name
		write(map[string]any{"event": e})
	}
	event(1, map[string]any{"type": "step", "step": map[string]any{"number": 1, "total": 1,
		"name": "[1/1] RUN seq", "state": "started"}})
	for n := 1; n <= lines; n++ {
		event(n+1, map[string]any{"type": "log", "text": fmt.Sprintf("line %d of a long log", n),
			"step": map[string]any{"number": 1, "total": 1}})
	}
	if fails {
		event(lines+2, map[string]any{"type": "failed",
			"failure": map[string]any{"error": "stopped", "class": "build"}})
		build["state"], build["ended"] = "failed", at.Add(time.Hour)
		write(map[string]any{"build": build})
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(f.Name(), filepath.Join(journals, id+".jsonl")); err != nil {
		t.Fatal(err)
	}
}
