package heartbeat

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
)

func step(number int, name string, state buildkit.StepState) buildkit.Progress {
	return buildkit.Progress{Kind: buildkit.ProgressStep,
		Step: buildkit.Step{Number: number, Total: 9, Name: name, State: state}}
}

func line(number int) buildkit.Progress {
	return buildkit.Progress{Kind: buildkit.ProgressLine, Step: buildkit.Step{Number: number}}
}

func delivered(bytes int64) buildkit.Progress {
	return buildkit.Progress{Kind: buildkit.ProgressDelivery, Bytes: bytes}
}

// record starts a monitor that collects the texts of its beats.
func record() (*Monitor, func() []string) {
	beats := make(chan string, 100)
	m := Start(func(b Beat) { beats <- b.String() })
	return m, func() (texts []string) {
		for {
			select {
			case text := <-beats:
				texts = append(texts, text)
			default:
				return texts
			}
		}
	}
}

func want(t *testing.T, got []string, texts ...string) {
	t.Helper()
	if !slices.Equal(got, texts) {
		t.Errorf("the beats are %q, not %q", got, texts)
	}
}

// TestBeats follows a build from its connection to its delivery.
func TestBeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, beats := record()
		wait := func(d time.Duration) { time.Sleep(d); synctest.Wait() }
		wait(19 * time.Second)
		want(t, beats())
		wait(time.Second)
		want(t, beats(), "waiting for the builder, 20 s")

		m.Observe(step(1, "[internal] load metadata", buildkit.StepStarted))
		m.Observe(step(1, "[internal] load metadata", buildkit.StepDone))
		m.Observe(step(2, "[ 5/12] RUN npm install", buildkit.StepStarted))
		wait(70 * time.Second)
		want(t, beats(), "step 5/12 RUN npm install, 20 s", "step 5/12 RUN npm install, 40 s",
			"step 5/12 RUN npm install, 1 min 0 s")
		m.Observe(line(2)) // after 70 s
		wait(19 * time.Second)
		want(t, beats())
		wait(time.Second)
		want(t, beats(), "step 5/12 RUN npm install, 1 min 30 s")

		m.Observe(step(3, "[other 2/2] RUN make", buildkit.StepStarted))
		wait(20 * time.Second)
		want(t, beats(), "step 2/2 RUN make, 20 s")
		m.Observe(step(3, "[other 2/2] RUN make", buildkit.StepDone))
		wait(20 * time.Second)
		want(t, beats(), "step 5/12 RUN npm install, 2 min 10 s")

		m.Observe(step(2, "[ 5/12] RUN npm install", buildkit.StepDone))
		m.Observe(delivered(0))
		wait(10 * time.Second)
		m.Observe(delivered(0)) // a repetition
		wait(10 * time.Second)
		want(t, beats(), "delivering the image, 20 s")
		for i := range int64(10) {
			m.Observe(delivered(i + 1))
			wait(15 * time.Second)
		}
		want(t, beats())

		m.Stop()
		m.Observe(delivered(99))
		wait(time.Hour)
		want(t, beats())
	})
}

func TestSubject(t *testing.T) {
	for name, want := range map[string]string{
		"[ 2/14] RUN apt-get   update": "step 2/14 RUN apt-get update",
		"[build 3/4] COPY a b":         "step 3/4 COPY a b",
		"[internal] load metadata":     "step 7/9 [internal] load metadata",
		"":                             "step 7/9",
		"[1/1] RUN set -eux; apt-get update; apt-get install -y --no-install-recommends git": "" +
			"step 1/1 RUN set -eux; apt-get update; apt-get install -y ...",
		"[1/1] " + strings.Repeat("é", 40): "step 1/1 " + strings.Repeat("é", 24) + " ...",
	} {
		b := Beat{Step: &buildkit.Step{Number: 7, Total: 9, Name: name}}
		if got := b.subject(); got != want {
			t.Errorf("%q gives %q, not %q", name, got, want)
		}
	}
}
