package notify

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/outbox"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/stdwebhooks"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

func build(t *testing.T) pinion.BuildStatus {
	t.Helper()
	rev, err := git.ParseRevision(strings.Repeat("a", 40))
	if err != nil {
		t.Fatal(err)
	}
	return pinion.BuildStatus{ID: "B1", Name: "claude-code", Reference: "molecule-local/x:1",
		Revision: rev, Started: time.Unix(1000, 0)}
}

func TestEvents(t *testing.T) {
	image := &pinion.Image{Outcome: pinion.OutcomeBuilt}
	cancelled := &pinion.Failure{Class: pinion.ClassCancelled}
	for name, c := range map[string]struct {
		image      *pinion.Image
		failure    *pinion.Failure
		superseded bool
		want       Event
		text       string
	}{
		"built": {image, nil, false, Built,
			"claude-code at aaaaaaaaaaaa was built in 42s: molecule-local/x:1"},
		"built, and not the newest": {image, nil, true, Superseded,
			"claude-code at aaaaaaaaaaaa was superseded by aaaaaaaaaaaa after 42s"},
		"dropped": {nil, cancelled, true, Superseded,
			"claude-code at aaaaaaaaaaaa was superseded by aaaaaaaaaaaa after 42s"},
		"failed": {nil, &pinion.Failure{Class: pinion.ClassBuild, Message: "it broke"}, true,
			Failed, "claude-code at aaaaaaaaaaaa failed (build) after 42s: it broke"},
		"cancelled": {nil, cancelled, false, "", ""},
		"a hit":     {&pinion.Image{Outcome: pinion.OutcomeHit}, nil, false, "", ""},
		"begun":     {nil, nil, false, "", ""},
	} {
		b := build(t)
		b.Image, b.Failure = c.image, c.failure
		if name != "begun" {
			b.Ended = b.Started.Add(42 * time.Second)
		}
		if c.superseded {
			b.SupersededBy = b.Revision
		}
		got := eventOf(b)
		if got != c.want || got != "" && textOf(got, b) != c.text {
			t.Errorf("%s: %s, %q", name, got, textOf(got, b))
		}
	}
}

// TestDelivery: two attempts at one notification have one ID, and the signature is that of the
// specification.
func TestDelivery(t *testing.T) {
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" // of the specification's example
	key, err := stdwebhooks.Key(secret)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	var got Notification
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		id, at := r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp")
		if r.Header.Get("webhook-signature") != stdwebhooks.Encode(stdwebhooks.Sum(key, id, at,
			body)) {
			t.Errorf("the signature of %s is %s", body, r.Header.Get("webhook-signature"))
		}
		if err := json.Unmarshal(body, &got); err != nil {
			t.Errorf("%v: %s", err, body)
		}
		if ids = append(ids, id); len(ids) == 1 {
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	defer server.Close()
	n := New(server.URL, key, func(id string) string { return "https://p/#/builds/" + id },
		slog.New(slog.DiscardHandler), outbox.WithPause(time.Millisecond))
	b := build(t)
	n.Report(b)
	b.Ended, b.Image = b.Started, &pinion.Image{Outcome: pinion.OutcomeBuilt}
	n.Report(b)
	n.Close(t.Context())
	if len(ids) != 2 || ids[0] != ids[1] || got.Schema != 1 || got.Event != Built ||
		got.URL != "https://p/#/builds/B1" || got.Build.ID != "B1" {
		t.Errorf("IDs %q, %+v", ids, got)
	}
}
