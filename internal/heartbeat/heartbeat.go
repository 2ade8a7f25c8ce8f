// Package heartbeat reports at intervals that a build goes on while the build itself reports
// nothing.
//
// It guarantees that no report comes after Stop has returned. It does not judge whether the build
// will end.
package heartbeat

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/lazy"
)

// Interval is the silence before a report, and the time between two reports.
const Interval = 20 * time.Second

// LogKey is the key of the attribute of log lines that repeat a beat. A display that shows the
// running steps by itself can leave these lines out.
const LogKey = "heartbeat"

// Line is the attribute with that key.
func Line() slog.Attr { return slog.Bool(LogKey, true) }

// Beat says what a silent build is busy with.
type Beat struct {
	// Step is the running step that started last; nil if none runs.
	Step *buildkit.Step
	// Delivering is true if the image is on its way to the image store.
	Delivering bool
	// Elapsed is how long that has been going on.
	Elapsed time.Duration
}

// Monitor watches one build. It is safe for concurrent use.
type Monitor struct {
	report func(Beat)

	mu      sync.Mutex
	timer   *time.Timer
	stopped bool
	running []running // in the order of their starts
	// since is when the last step ended, or when the build began.
	since time.Time
	bytes int64 // delivered
	// delivering is true once the delivery has begun.
	delivering bool
}

type running struct {
	step  buildkit.Step
	since time.Time
}

// Start watches a build that begins now. It calls report after each Interval without progress, from
// one goroutine at a time.
func Start(report func(Beat)) *Monitor {
	m := &Monitor{report: report, since: time.Now()}
	m.mu.Lock() // beat may run before AfterFunc has returned
	defer m.mu.Unlock()
	m.timer = time.AfterFunc(Interval, m.beat)
	return m
}

// Stop ends the reports.
func (m *Monitor) Stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stopped = true
	m.timer.Stop()
}

func (m *Monitor) beat() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopped {
		return
	}
	b := Beat{Delivering: m.delivering, Elapsed: time.Since(m.since)}
	if n := len(m.running); n > 0 {
		last := m.running[n-1]
		b = Beat{Step: &last.step, Elapsed: time.Since(last.since)}
	}
	m.report(b)
	m.timer.Reset(Interval)
}

// Observe takes note of progress.
func (m *Monitor) Observe(p buildkit.Progress) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch p.Kind {
	case buildkit.ProgressStep:
		m.change(p.Step)
	case buildkit.ProgressDelivery:
		if m.delivering && p.Bytes == m.bytes {
			return // BuildKit repeats its statuses
		}
		m.delivering, m.bytes = true, p.Bytes
	}
	if !m.stopped {
		m.timer.Reset(Interval)
	}
}

func (m *Monitor) change(s buildkit.Step) {
	now := time.Now()
	m.running = slices.DeleteFunc(m.running, func(r running) bool {
		return r.step.Number == s.Number
	})
	if s.State == buildkit.StepStarted {
		m.running = append(m.running, running{s, now})
		return
	}
	m.since = now
}

// numbered matches the name of a step of a Dockerfile, "[stage 2/3] RUN make", and captures its
// number, the number of steps and the instruction.
var numbered = lazy.Regexp(`^\[(?:\S+ )? *(\d+)/(\d+)\] (.*)$`)

// maxWords is the length of a step's first words, in bytes.
const maxWords = 48

// String returns the beat in human-readable form, for example "step 5/12 RUN make, 40 s".
func (b Beat) String() string {
	return fmt.Sprintf("%s, %s", b.subject(), seconds(b.Elapsed))
}

// subject numbers a step of a Dockerfile as the Dockerfile does, and any other in the order in
// which they began.
func (b Beat) subject() string {
	switch {
	case b.Step == nil && b.Delivering:
		return "delivering the image"
	case b.Step == nil:
		return "waiting for the builder"
	}
	number, total, name := fmt.Sprint(b.Step.Number), fmt.Sprint(b.Step.Total), b.Step.Name
	if m := numbered().FindStringSubmatch(name); m != nil {
		number, total, name = m[1], m[2], m[3]
	}
	return strings.TrimSpace(fmt.Sprintf("step %s/%s %s", number, total, firstWords(name)))
}

// firstWords returns the words of s that fit into maxWords.
func firstWords(s string) string {
	var text string
	for word := range strings.FieldsSeq(s) {
		longer := strings.TrimSpace(text + " " + word)
		if len(longer) > maxWords {
			return cmp.Or(text, strings.ToValidUTF8(longer[:maxWords], "")) + " ..."
		}
		text = longer
	}
	return text
}

func seconds(d time.Duration) string {
	s := int(d.Round(time.Second).Seconds())
	if s < 60 {
		return fmt.Sprintf("%d s", s)
	}
	return fmt.Sprintf("%d min %d s", s/60, s%60)
}
