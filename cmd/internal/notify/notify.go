// Package notify tells a program of the operator's what became of builds, by a webhook.
//
// It guarantees that
//   - no build waits for the receiver or fails because of it;
//   - each notification is signed, and goes to the configured URL alone;
//   - all attempts at a notification have the same ID.
//
// It does not guarantee that a notification arrives, nor that it arrives once.
package notify

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/outbox"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/schema"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/stdwebhooks"
)

// Event says what became of a build.
type Event string

// The events. A build that was cancelled is reported only if its commit was superseded.
const (
	Built      Event = "built"
	Failed     Event = "failed"
	Superseded Event = "superseded" // the branch has moved on; Build.Image is there if it was built
)

// Notification is the body of a webhook, in JSON. All texts are redacted and free of control
// characters.
type Notification struct {
	Schema int       `json:"schema"`
	Event  Event     `json:"event"`
	Time   time.Time `json:"time"`
	// Text is one line for people.
	Text string `json:"text"`
	// URL is the page of the build, empty without a public address.
	URL   string             `json:"url,omitempty"`
	Build pinion.BuildStatus `json:"build"`
}

// Notifier sends notifications. [New] makes one.
type Notifier struct {
	url  string
	key  []byte
	page func(id string) string
	box  *outbox.Box
}

// New makes a notifier that sends to a URL, with signatures of the key as package stdwebhooks makes
// them. page returns the address of a build's page, "" for none. The caller must close it.
func New(
	url string, key []byte, page func(id string) string, log *slog.Logger, opts ...outbox.Option,
) *Notifier {
	return &Notifier{url: url, key: key, page: page,
		box: outbox.New("notifications", outbox.Transport(nil), log, opts...)}
}

// Report sends a notification if the status is that of a build that has ended. It returns at once.
func (n *Notifier) Report(b pinion.BuildStatus) {
	event := eventOf(b)
	if event == "" {
		return
	}
	note := Notification{Schema: schema.Version, Event: event, Time: time.Now().UTC(),
		Text: textOf(event, b), URL: n.page(b.ID), Build: b}
	id := "msg_" + rand.Text()
	n.box.Put(func(context.Context) (outbox.Message, error) {
		body, err := json.Marshal(note)
		if err != nil {
			return outbox.Message{}, err
		}
		at := strconv.FormatInt(time.Now().Unix(), 10)
		return outbox.Message{URL: n.url, Body: body, Header: http.Header{
			"Content-Type": {"application/json"}, "User-Agent": {"pinion"},
			stdwebhooks.HeaderID: {id}, stdwebhooks.HeaderTimestamp: {at},
			stdwebhooks.HeaderSignature: {
				stdwebhooks.Encode(stdwebhooks.Sum(n.key, id, at, body)),
			},
		}}, nil
	}, false)
}

// Close sends the notifications that wait until ctx ends, and drops the rest.
func (n *Notifier) Close(ctx context.Context) { n.box.Close(ctx) }

// eventOf returns what became of a build, "" if that is nothing to report.
func eventOf(b pinion.BuildStatus) Event {
	switch {
	case b.Ended.IsZero(), b.Image != nil && b.Image.Outcome == pinion.OutcomeHit:
		return ""
	case b.Failure == nil && b.SupersededBy.IsZero():
		return Built
	case b.Failure != nil && b.Failure.Class != pinion.ClassCancelled:
		return Failed
	case !b.SupersededBy.IsZero():
		return Superseded
	}
	return ""
}

// textOf describes an event in one line.
func textOf(event Event, b pinion.BuildStatus) string {
	what := b.Name
	if !b.Revision.IsZero() {
		what += " at " + b.Revision.Short()
	}
	took := b.Ended.Sub(b.Started).Round(time.Second)
	switch event {
	case Failed:
		return fmt.Sprintf("%s failed (%s) after %s: %s", what, b.Failure.Class, took,
			b.Failure.Message)
	case Superseded:
		return fmt.Sprintf("%s was superseded by %s after %s", what, b.SupersededBy.Short(), took)
	}
	return fmt.Sprintf("%s was built in %s: %s", what, took, b.Reference)
}
