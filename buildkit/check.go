package buildkit

import (
	"bytes"
	"fmt"
	"strings"
	"sync"

	"github.com/moby/buildkit/client"

	"git.moleculesai.app/molecule-ai/pinion/internal/lazy"
)

// Limits on the checks of a build. A template's author decides on their number and length: maxCheck
// is in bytes for each text.
const (
	maxChecks = 50
	maxCheck  = 512
)

// RuleBasePlatform is the rule about a base image of another platform than the one that is built,
// as BuildKit names it.
const RuleBasePlatform = "InvalidBaseImagePlatform"

// Check is what BuildKit remarks on the Dockerfile without failing.
type Check struct {
	// Rule is the name of the rule, for example "InvalidBaseImagePlatform". It is empty for a
	// remark that is of no rule, as those of BuildKit before 0.15.
	Rule string `json:"rule,omitempty"`
	// Text is one line about this Dockerfile, Detail one about the rule, and URL its documentation.
	Text   string `json:"text"`
	Detail string `json:"detail,omitempty"`
	URL    string `json:"url,omitempty"`
	// File and Line are the place. Line counts from 1; 0 means unknown.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
}

// String returns the check in one line.
func (c Check) String() string {
	var b strings.Builder
	switch {
	case c.File != "" && c.Line > 0:
		fmt.Fprintf(&b, "%s:%d: ", c.File, c.Line)
	case c.File != "":
		fmt.Fprintf(&b, "%s: ", c.File)
	}
	if c.Rule != "" {
		fmt.Fprintf(&b, "%s: ", c.Rule)
	}
	return b.String() + c.Text
}

// Clean returns the check with each of its texts changed by clean.
func (c Check) Clean(clean func(string) string) Check {
	for _, text := range []*string{&c.Rule, &c.Text, &c.Detail, &c.URL, &c.File} {
		*text = clean(*text)
	}
	return c
}

// ruleText has the rule and the text of a warning about a rule (BuildKit, frontend/dockerfile,
// linter.LintFormatShort).
var ruleText = lazy.Regexp(`^([A-Z][A-Za-z0-9]{1,63}): (.+)$`)

// checkOf returns the check in a warning whose texts are clean.
func checkOf(w *client.VertexWarning) Check {
	text := oneLine(string(w.Short))
	c := Check{Detail: oneLine(string(bytes.Join(w.Detail, []byte(" ")))), URL: oneLine(w.URL)}
	if w.SourceInfo != nil {
		c.File = oneLine(w.SourceInfo.Filename)
	}
	if len(w.Range) > 0 {
		c.Line = int(w.Range[0].GetStart().GetLine())
		text = strings.TrimSuffix(text, fmt.Sprintf(" (line %d)", c.Line))
	}
	if parts := ruleText().FindStringSubmatch(text); parts != nil {
		c.Rule, text = parts[1], parts[2]
	}
	c.Text = text
	return c
}

func oneLine(s string) string { return cut(strings.Join(strings.Fields(s), " "), maxCheck) }

// checks reports each check of a build once, whichever attempt it comes from.
type checks struct {
	report func(Check)

	mu   sync.Mutex
	seen map[Check]bool // guarded by mu
}

func newChecks(report func(Check)) *checks {
	return &checks{report: report, seen: map[Check]bool{}}
}

// add reports a check that is new. After the last that is reported comes a note that there are
// more.
func (l *checks) add(c Check) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.seen) == maxChecks {
		c = Check{Text: "further remarks are left out"}
	}
	if l.report == nil || l.seen[c] || len(l.seen) > maxChecks {
		return
	}
	l.seen[c] = true
	l.report(c)
}
