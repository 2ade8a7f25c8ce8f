package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// TestFault40_LoadFails: an engine that answers 200 and has not taken the image.
func TestFault40_LoadFails(t *testing.T) {
	partstest.OnSomeDays(t)
	for _, c := range []struct {
		name  string
		store cell
		load  http.HandlerFunc
		word  string
	}{
		{"error in the stream", classicStandalone,
			answerLoad(`{"errorDetail":{"message":"disk full"},"error":"disk full"}`), "disk full"},
		{"error unpacking", containerdStandalone,
			answerLoad(`{"stream":"Error unpacking image: broken layer"}`), "broken layer"},
		{"success without an image", containerdStandalone,
			answerLoad(`{"stream":"Loaded image: x"}`), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t, c.store)
			s.prepare(t, "RUN echo load")
			s.engine.SetHook(func(w http.ResponseWriter, r *http.Request) bool {
				if strings.HasSuffix(r.URL.Path, "/images/load") {
					c.load(w, r)
					return true
				}
				return noPulls(w, r)
			})
			wantDeliveryFails(t, s, c.word)
		})
	}
}

// noPulls makes the engine one that cannot reach this machine, so that the image is loaded.
var noPulls = parts.FailPath("/images/create", http.StatusInternalServerError,
	`{"message":"no pulls today"}`)

func answerLoad(line string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, line+"\n")
	}
}

// wantDeliveryFails expects the store's failure with nothing left of it, and success as soon as the
// engine is well again.
func wantDeliveryFails(t *testing.T, s *scene, words ...string) {
	t.Helper()
	_, err := s.try(t)
	if err == nil {
		t.Fatal("no error")
	}
	wantOneOf(t, err, pinion.ErrStore, buildkit.ErrDelivery, pinion.ErrVerification)
	wantError(t, err, err, words...)
	wantNoTrace(t, s)
	s.engine.SetHook(nil)
	s.wantImage(t, s.ensure(t, pinion.OutcomeBuilt))
	s.ensure(t, pinion.OutcomeHit)
}

// TestFault38_LoadBreaksOff cuts each archive short on its way into a real engine.
func TestFault38_LoadBreaksOff(t *testing.T) {
	onCells(t, []cell{containerdStandalone, classicStandalone, oldStandalone},
		func(t *testing.T, c cell) {
			s := newScene(t, c)
			s.noisy(t)
			var cut atomic.Int64
			s.engine.SetHook(func(w http.ResponseWriter, r *http.Request) bool {
				if strings.HasSuffix(r.URL.Path, "/images/load") {
					whole := r.Body
					head, _ := io.ReadAll(io.LimitReader(whole, noise/2))
					rest, _ := io.Copy(io.Discard, whole)
					cut.Add(rest)
					r.Body = io.NopCloser(bytes.NewReader(head))
				}
				return noPulls(w, r)
			})
			wantDeliveryFails(t, s)
			if cut.Load() == 0 {
				t.Error("nothing was cut off")
			}
		})
}

const noise = 1 << 20

// noisy is a template whose image has a layer of so many bytes that no engine has.
func (s *scene) noisy(t *testing.T) {
	t.Helper()
	body := make([]byte, noise)
	_, _ = rand.Read(body)
	tmpl := s.template(t, runtime, parts.RepoOptions{})
	tmpl.push(t, append(busybox(t, "COPY noise /"), parts.Program("noise", body))...)
}

// TestFault38_PullBreaksOff ends the conversation with a real engine that has begun to pull.
func TestFault38_PullBreaksOff(t *testing.T) {
	s := newScene(t, containerdStandalone)
	s.noisy(t)
	broken := false
	s.engine.SetHook(s.duringPull(t, func(*http.Request) {
		broken = true
		panic(http.ErrAbortHandler)
	}))
	wantDeliveryFails(t, s)
	if !broken {
		t.Error("nothing was broken off")
	}
}

// TestFault38_PullFails: the image is then delivered by a load.
func TestFault38_PullFails(t *testing.T) {
	s := newScene(t, containerdStandalone)
	s.noisy(t)
	s.engine.SetHook(noPulls)
	img := s.ensure(t, pinion.OutcomeBuilt)
	s.wantImage(t, img)
	if d := img.Delivery; d.Via != buildkit.ViaLoad || d.LayersSent == 0 ||
		!strings.Contains(d.Reason, "no pulls today") {
		t.Errorf("delivery is %+v", d)
	}
}

// duringPull calls do when the engine has begun to fetch layers.
func (s *scene) duringPull(t *testing.T, do func(r *http.Request)) parts.Hook {
	t.Helper()
	socket := engine(t, s.store).Socket()
	transport := &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		}}
	return func(_ http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/images/create") {
			return false
		}
		out := r.Clone(r.Context())
		out.URL.Scheme, out.URL.Host = "http", "docker"
		resp, err := transport.RoundTrip(out)
		if err != nil {
			t.Error(err)
			return true
		}
		defer resp.Body.Close()
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if strings.Contains(lines.Text(), "Pulling fs layer") {
				do(r)
				return true
			}
		}
		t.Error("the engine pulled no layer")
		return true
	}
}

// TestFault42_TaggingFails: the image was delivered and cannot be given its name; the temporary one
// does not stay.
func TestFault42_TaggingFails(t *testing.T) {
	onCells(t, []cell{containerdOwn, classicStandalone}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		s.prepare(t, "RUN echo tagging")
		s.engine.SetHook(func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, "/tag") {
				return false
			}
			http.Error(w, `{"message":"no tags today"}`, http.StatusInternalServerError)
			return true
		})
		wantDeliveryFails(t, s, "no tags today")
	})
}

// TestLatestIsBestEffort: only the pinned name counts.
func TestLatestIsBestEffort(t *testing.T) {
	s := newScene(t, containerdOwn)
	s.prepare(t, "RUN echo latest")
	s.engine.SetHook(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/tag") || r.URL.Query().Get("tag") != "latest" {
			return false
		}
		http.Error(w, `{"message":"no tags today"}`, http.StatusInternalServerError)
		return true
	})
	img := s.ensure(t, pinion.OutcomeBuilt)
	if len(img.Warnings) != 1 || !strings.Contains(img.Warnings[0], "no tags today") {
		t.Errorf("the warnings are %q", img.Warnings)
	}
	s.ensure(t, pinion.OutcomeHit)
}

// TestFault43_KilledWithinAStep ends the process while a builder works for it. The next run works
// and leaves everything in order. TestFault43_BetweenSteps has the places between.
func TestFault43_KilledWithinAStep(t *testing.T) {
	partstest.OnSomeDays(t)
	for _, c := range []struct {
		name string
		cell cell
		// fetching holds it in the fetch, otherwise in the solve
		fetching bool
	}{
		{"fetch", containerdStandalone, true},
		{"solve on a buildkitd", containerdStandalone, false},
		{"solve on the engine", containerdOwn, false},
		{"solve on an old engine", oldOwn, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t, c.cell)
			gate := newBuildGate(t)
			s.prepare(t, gate.add())
			arrived := (<-chan struct{})(gate.arrived)
			if c.fetching {
				gate.open()
				var hook parts.Hook
				hook, arrived, _ = parts.GatePath("/info/refs")
				s.git.SetHook(hook)
			}
			victim := s.start(t, "ensure", runtime)
			receive(t, "the step "+c.name, arrived)
			victim.kill()
			s.git.SetHook(nil)
			gate.open()
			wantRecords(t, s, 0)
			img := parseImage(t, s.run(t, "ensure", runtime, "--format", "json"))
			if img.Outcome != pinion.OutcomeBuilt {
				t.Errorf("outcome is %s", img.Outcome)
			}
			s.wantImage(t, img)
			wantRecords(t, s, 1)
			s.ensure(t, pinion.OutcomeHit)
		})
	}
}

// TestFault43_KilledDuringPull: the engine may go on with the pull or not. The next run returns the
// right image, and no temporary name is left.
func TestFault43_KilledDuringPull(t *testing.T) {
	s := newScene(t, containerdStandalone)
	s.noisy(t)
	arrived := make(chan struct{}, 1)
	s.engine.SetHook(s.duringPull(t, func(r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
	}))
	victim := s.start(t, "ensure", runtime)
	receive(t, "the pull", arrived)
	victim.kill()
	s.engine.SetHook(nil)
	wantRecords(t, s, 0)
	s.wantImage(t, s.ensure(t, pinion.OutcomeBuilt))
	s.ensure(t, pinion.OutcomeHit)
}

// TestFault43_KilledAfterPull: the name by which the engine pulled is Pinion's. The next run
// removes it, and prune.
func TestFault43_KilledAfterPull(t *testing.T) {
	partstest.OnSomeDays(t)
	for name, tidy := range map[string]func(*scene, *testing.T){
		"next run": func(s *scene, t *testing.T) {
			s.wantImage(t, s.ensure(t, pinion.OutcomeBuilt))
		},
		"prune": func(s *scene, t *testing.T) { s.succeed(t, "prune") },
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, containerdStandalone)
			tmpl := s.template(t, runtime, parts.RepoOptions{})
			tmpl.busybox(t, unique()...)
			hook, arrived, _ := parts.GatePath("/images/127.0.0.1")
			s.engine.SetHook(hook)
			victim := s.start(t, "ensure", runtime)
			receive(t, "the end of the pull", arrived)
			victim.kill()
			s.engine.SetHook(nil)
			if n := s.temporary(t); n != 1 {
				t.Errorf("%d names are left", n)
			}
			tidy(s, t)
			s.wantNothingTemporary(t, runtime)
		})
	}
}

// TestFault45_BadRecord: a record that cannot be read is put aside, and the receipt says so.
func TestFault45_BadRecord(t *testing.T) {
	s := newScene(t, containerdOwn)
	s.prepare(t, "RUN echo record")
	s.ensure(t, pinion.OutcomeBuilt)
	for name, spoil := range map[string]func(string) string{
		"truncated": func(text string) string { return text[:len(text)/2] },
		"empty":     func(string) string { return "" },
		"garbled":   func(text string) string { return "\x00\xff" + text },
		"newer": func(text string) string {
			return strings.Replace(text, `"schema": 1`, `"schema": 2`, 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			file := s.records(t, "*.json")[0]
			text := read(t, file)
			if spoil(text) == text {
				t.Fatal("the record was not spoilt")
			}
			write(t, file, spoil(text), 0o600)
			img := s.ensure(t, pinion.OutcomeBuilt)
			if !strings.Contains(img.Reason, "put aside") {
				t.Errorf("the reason is %q", img.Reason)
			}
			aside := s.records(t, "*.bad")
			if len(aside) != 1 || read(t, aside[0]) != spoil(text) {
				t.Errorf("put aside are %q", aside)
			}
			s.ensure(t, pinion.OutcomeHit)
			if err := os.Remove(aside[0]); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestFault45_RecordOfAnotherImage: a record that reads well and lies is no hit either.
func TestFault45_RecordOfAnotherImage(t *testing.T) {
	s := newScene(t, containerdOwn)
	tmpl, _ := s.prepare(t, "RUN echo honest")
	first := s.ensure(t, pinion.OutcomeBuilt)
	second := tmpl.busybox(t, "RUN echo other")
	other := s.ensure(t, pinion.OutcomeBuilt)
	for _, file := range s.records(t, "*.json") {
		text := read(t, file)
		if !strings.Contains(text, second) {
			continue
		}
		write(t, file, strings.ReplaceAll(text, other.ID, first.ID), 0o600)
	}
	s.tag(t, first.ID, other.Reference)
	again := s.ensure(t, pinion.OutcomeBuilt)
	if again.ID == first.ID || again.Reason == "" {
		t.Errorf("got %+v", again)
	}
	s.wantImage(t, again)
}

// TestFault60_BuilderDies: the engine's or another one, in the middle of a solve.
func TestFault60_BuilderDies(t *testing.T) {
	partstest.OnSomeDays(t)
	t.Run("buildkitd", func(t *testing.T) {
		own := partstest.Buildkitd(t, parts.BuildkitdOptions{})
		s := newScene(t, containerdOwn)
		s.user = s.with("BUILDKIT_HOST", own.Addr())
		builderDies(t, s, own)
	})
	t.Run("docker", func(t *testing.T) {
		own := partstest.Dockerd(t, parts.Docker29Containerd)
		builderDies(t, newSceneOn(t, own.Host()), own)
	})
}

func builderDies(t *testing.T, s *scene, builder killable) {
	t.Helper()
	gate := newBuildGate(t)
	s.prepare(t, gate.add())
	p := s.start(t, "ensure", runtime)
	receive(t, "the build", gate.arrived)
	builder.Kill()
	if r := p.result(t); r.code != exitNoBuilder || r.stdout != "" ||
		!strings.Contains(r.stderr, "stopped answering") {
		t.Errorf("exit code %d, stdout %q\n%s", r.code, r.stdout, r.stderr)
	}
	wantRecords(t, s, 0)
	gate.open()
	s.fail(t, goneCode(s), []string{"doctor"}, "ensure", runtime)
	if err := builder.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.wantImage(t, s.ensure(t, pinion.OutcomeBuilt))
	s.ensure(t, pinion.OutcomeHit)
}
