//go:build linux

package daemon_test

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/daemon"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

func TestNextStartRecoversFromAKilledBuild(t *testing.T) {
	for name, victim := range map[string]func(b *bed, p *daemon.Process) int{
		"BuildKit itself":   func(_ *bed, p *daemon.Process) int { return p.PID },
		"the first process": func(b *bed, p *daemon.Process) int { return parent(b.t, p.PID) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			m := b.manager("v1")
			step, alive := sleeper(t)
			tpl := newTemplate(t, "RUN echo first > /first", step)
			build := b.solve(b.ensure(m), tpl)
			build.await(t, "under way")
			p := b.process(m)
			if p.ActiveBuilds != 1 || !alive() {
				t.Errorf("got %+v, step under way: %t", p, alive())
			}
			if err := syscall.Kill(victim(b, p), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			if err := build.wait(t); !errors.Is(err, buildkit.ErrNoBuilder) {
				t.Errorf("got %v", err)
			}
			b.nothingLeft(alive)
			if len(b.leftovers()) == 0 {
				t.Error("no leftovers, so the test does not show that the next start removes them")
			}

			// The same repository with a step that ends: earlier steps are not built again.
			sha, err := tpl.server.Push(t.Context(), "one",
				parts.Commit{Files: partstest.BusyboxTemplate(t, "RUN echo first > /first",
					"RUN echo second")})
			if err != nil {
				t.Fatal(err)
			}
			tpl.rev, _ = git.ParseRevision(sha)
			addr := b.ensure(m)
			if leftovers := b.leftovers(); len(leftovers) > 0 {
				t.Errorf("the next start leaves %q", leftovers)
			}
			again := b.solve(addr, tpl)
			again.await(t, "second")
			if err := again.wait(t); err != nil || again.result.ManifestDigest == "" {
				t.Errorf("got %+v, %v", again.result, err)
			}
		})
	}
}

func TestStopGivesABuildItsGrace(t *testing.T) {
	b := newBed(t)
	m := b.manager("v1")
	build := b.solve(b.ensure(m), newTemplate(t, "RUN echo under way; sleep 2; echo through"))
	build.await(t, "under way")
	if stopped, err := m.Stop(t.Context(), time.Minute); err != nil || !stopped {
		t.Errorf("stopped %t, %v", stopped, err)
	}
	if err := build.wait(t); err != nil {
		t.Errorf("the build: %v", err)
	}
	b.nothingLeft(func() bool { return false })
}

func TestStopCancelsABuildAfterItsGrace(t *testing.T) {
	b := newBed(t)
	m := b.manager("v1")
	step, alive := sleeper(t)
	build := b.solve(b.ensure(m), newTemplate(t, step))
	build.await(t, "under way")
	if stopped, err := m.Stop(t.Context(), 100*time.Millisecond); err != nil || !stopped {
		t.Errorf("stopped %t, %v", stopped, err)
	}
	if err := build.wait(t); !errors.Is(err, buildkit.ErrNoBuilder) {
		t.Errorf("the build: %v", err)
	}
	b.nothingLeft(alive)
	if leftovers := b.leftovers(); len(leftovers) > 0 {
		t.Errorf("left: %q", leftovers)
	}
}

func TestEnsureDuringStopStartsAnother(t *testing.T) {
	b := newBed(t)
	m := b.manager("v1")
	build := b.solve(b.ensure(m), newTemplate(t, "RUN echo under way; sleep 2"))
	build.await(t, "under way")
	old := b.process(m).PID
	stopped := make(chan error, 1)
	go func() {
		_, err := b.manager("v1").Stop(t.Context(), time.Minute)
		stopped <- err
	}()
	within(t, 10*time.Second, "it refuses builds", func() bool {
		st, err := m.Status(t.Context())
		return err != nil || !st.Running || st.Process.Stopping
	})
	b.ensure(m)
	if p := b.process(m); p.PID == old || p.Stopping {
		t.Errorf("got %+v, the old one was %d", p, old)
	}
	if err := errors.Join(<-stopped, build.wait(t)); err != nil {
		t.Error(err)
	}
}

func TestAnotherVersionWithABuildIsUsedOnceMore(t *testing.T) {
	b := newBed(t)
	old := b.manager("v1")
	addr := b.ensure(old)
	build := b.solve(addr, newTemplate(t, "RUN echo under way; sleep 2"))
	build.await(t, "under way")
	var notices []string
	m := b.manager("v2", daemon.WithNotice(func(s string) { notices = append(notices, s) }))
	if got := b.ensure(m); got != addr || len(notices) != 1 || b.process(m).Version != "v1" {
		t.Errorf("got %s, notices %q", got, notices)
	}
	if err := build.wait(t); err != nil {
		t.Error(err)
	}
	within(t, 20*time.Second, "it is replaced", func() bool {
		b.ensure(m)
		return b.process(m).Version == "v2"
	})
}

func TestNoIdleExitDuringABuild(t *testing.T) {
	b := newBed(t)
	m := b.manager("v1", daemon.WithIdle(time.Second))
	tpl := newTemplate(t, "RUN echo under way; sleep 3; echo through")
	build := b.solve(b.ensure(m), tpl)
	build.await(t, "through")
	if err := build.wait(t); err != nil {
		t.Error(err)
	}
	b.nothingLeft(func() bool { return false })
}
