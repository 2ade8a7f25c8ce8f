package e2e_test

import (
	"encoding/json"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
)

// pastBuild is a build in the history.
type pastBuild struct {
	pinion.BuildStatus
	Command string
	Hits    int
}

// history returns what `pinion builds ls` lists.
func (u user) history(t *testing.T, args ...string) (list []pastBuild) {
	t.Helper()
	r := u.succeed(t, append([]string{"builds", "ls", "--format", "json"}, args...)...)
	for dec := json.NewDecoder(strings.NewReader(r.stdout)); dec.More(); {
		var b pastBuild
		if err := dec.Decode(&b); err != nil {
			t.Fatal(err)
		}
		list = append(list, b)
	}
	return list
}

// TestHistory: what commands built and found, how it failed, what it printed, and once more.
func TestHistory(t *testing.T) {
	onCells(t, builders(), func(t *testing.T, c cell) {
		s := newScene(t, c)
		s.user = s.with("PINION_CACHE", "off") // a save has an entry of its own
		tmpl, first := s.prepare(t, append(unique(), "RUN echo printed; echo one > /word")...)
		u := s.user
		u.succeed(t, "ensure", runtime)
		u.succeed(t, "ensure", runtime)
		u.succeed(t, "ensure", runtime, "-q")
		tmpl.busybox(t, "RUN echo broken; exit 3")
		u.fail(t, exitBuild, nil, "ensure", runtime)

		all := u.history(t, "--all")
		if len(all) != 3 {
			t.Fatalf("%+v", all)
		}
		failed, hits, built := all[0], all[1], all[2]
		if hits.Hits != 2 || hits.Image.Outcome != pinion.OutcomeHit {
			t.Errorf("hits: %+v", hits)
		}
		if built.Revision.String() != first || built.Image == nil || built.Builder == nil ||
			built.Reason == "" || built.Command != "ensure" || built.Ended.IsZero() {
			t.Errorf("built: %+v", built)
		}
		if failed.State != pinion.BuildFailed || failed.Failure.Class != pinion.ClassBuild ||
			failed.Builder == nil {
			t.Errorf("failed: %+v", failed)
		}
		log := u.succeed(t, "logs", runtime).stdout
		if !strings.Contains(log, "broken\n") || !strings.Contains(log, "exit 3") {
			t.Errorf("the last build's log: %s", log)
		}
		if log := u.succeed(t, "builds", "logs", built.ID[:6]).stdout; !strings.Contains(log,
			"\nprinted\n") || !strings.Contains(log, "] RUN echo printed") {
			t.Errorf("the first build's log: %s", log)
		}
		shown := u.succeed(t, "builds", "show", built.ID).stdout
		if !strings.Contains(shown, "RUN echo printed") || !strings.Contains(shown, first) {
			t.Errorf("shown: %s", shown)
		}
		if stats := u.succeed(t, "builds", "stats").stdout; !strings.Contains(stats, "50%") {
			t.Errorf("stats: %s", stats)
		}
		tmpl.busybox(t, "RUN echo mended > /word")
		again := u.succeed(t, "builds", "retry", failed.ID).stdout
		if list := u.history(t); len(list) != 3 || list[0].Reference+"\n" != again {
			t.Errorf("again %s: %+v", again, list)
		}
	})
}

// slow is a step that prints and then waits for longer than the test does.
const slow = "RUN echo begun; sleep 300"

// TestHistoryOfARunningBuild is followed by another command, which cancels it.
func TestHistoryOfARunningBuild(t *testing.T) {
	s := newScene(t, classicOwn)
	s.prepare(t, slow)
	p := s.start(t, "ensure", runtime)
	var id string
	eventually(t, "a build that has begun", func() bool {
		for _, b := range s.history(t, "--kind", "running") {
			id = b.ID
		}
		return id != "" && strings.Contains(s.run(t, "builds", "logs", id).stdout, "begun\n")
	})
	follower := s.start(t, "logs", "--follow", runtime)
	s.succeed(t, "builds", "cancel", id)
	if code := p.wait(t); code != exitCancelled {
		t.Errorf("exit code %d: %s", code, p.stderr)
	}
	if r := follower.result(t); r.code != 0 || !strings.Contains(r.stdout, "begun\n") {
		t.Errorf("followed: %+v", r)
	}
	list := s.history(t)
	if len(list) != 1 || list[0].State != pinion.BuildFailed ||
		list[0].Failure.Class != pinion.ClassCancelled {
		t.Errorf("%+v", list)
	}
	s.fail(t, exitUsage, []string{"the build has ended"}, "builds", "cancel", id)
}

// TestHistoryOfAKilledBuild: its lines are there, and it is not said to run.
func TestHistoryOfAKilledBuild(t *testing.T) {
	s := newScene(t, classicOwn)
	s.prepare(t, slow)
	p := s.start(t, "ensure", runtime)
	eventually(t, "a build that has begun", func() bool {
		return strings.Contains(s.run(t, "logs", runtime).stdout, "begun\n")
	})
	p.kill()
	list := s.history(t)
	if len(list) != 1 || list[0].State != "interrupted" {
		t.Fatalf("%+v", list)
	}
	if log := s.succeed(t, "logs", runtime).stdout; !strings.Contains(log, "begun\n") {
		t.Errorf("log: %s", log)
	}
}

// TestHistoryOfAServer: of earlier servers and of commands, over HTTP, with an operator's rights.
func TestHistoryOfAServer(t *testing.T) {
	s := newScene(t, classicOwn)
	tmpl, _ := s.prepare(t, "RUN echo one > /word")
	s.succeed(t, "ensure", runtime)
	p, c := s.serve(t)
	if r := c.ensure(t.Context()); r.status != 200 {
		t.Fatal(r)
	}
	tmpl.busybox(t, slow)
	begun := c.begin(t, runtime)
	at := "unix://" + p.Args[3][len("unix://"):]
	s.serverCancels(t, c, at, begun.Build.ID)
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.wait(t)

	_, next := s.serve(t)
	list := want[struct{ Builds []pastBuild }](t,
		next.ask(t.Context(), "GET", "/v1/builds?kind=failed", ""), 200).Builds
	if len(list) != 1 || list[0].ID != begun.Build.ID || list[0].Command != "serve" ||
		list[0].AskedBy == "" {
		t.Errorf("after the server was killed: %+v", list)
	}
	events := next.ask(t.Context(), "GET", "/v1/builds/"+begun.Build.ID+"/events", "")
	if !strings.Contains(events.text, "begun") {
		t.Errorf("events: %+v", events)
	}
	all := s.history(t, "--all")
	commands := map[string]bool{}
	for _, b := range all {
		commands[b.Command] = true
	}
	if !commands["ensure"] || !commands["serve"] {
		t.Errorf("this machine's history: %+v", all)
	}
	tmpl.busybox(t, "RUN echo mended > /word")
	again := want[accepted](t, next.ask(t.Context(), "POST",
		"/v1/builds/"+begun.Build.ID+"/retry", ""), 202)
	eventually(t, "the image", func() bool {
		b := want[pastBuild](t, next.ask(t.Context(), "GET", "/v1/builds/"+again.Build.ID, ""),
			200)
		return b.State == pinion.BuildDone
	})
}

// serverCancels follows a build of a server and cancels it, by the command.
func (s *scene) serverCancels(t *testing.T, c *serveClient, at, id string) {
	t.Helper()
	eventually(t, "a line of the build", func() bool {
		return strings.Contains(s.run(t, "builds", "logs", id, "--server", at).stdout, "begun\n")
	})
	s.fail(t, exitUsage, []string{"a server builds this"}, "builds", "cancel", id)
	follower := s.start(t, "builds", "logs", "-f", id, "--server", at)
	s.succeed(t, "builds", "cancel", id, "--server", at)
	if r := follower.result(t); r.code != 0 || !strings.Contains(r.stdout, "cancelled on request") {
		t.Errorf("followed: %+v", r)
	}
	ended := want[pastBuild](t, c.ask(t.Context(), "GET", "/v1/builds/"+id, ""), 200)
	if ended.Failure == nil || ended.Failure.Class != pinion.ClassCancelled {
		t.Errorf("%+v", ended)
	}
	listed := s.succeed(t, "builds", "ls", "--server", at, "-q", "--kind", "failed")
	if listed.stdout != id+"\n" {
		t.Errorf("listed %q", listed.stdout)
	}
	s.fail(t, exitUsage, []string{"The build has ended"}, "builds", "cancel", id, "--server", at)
}
