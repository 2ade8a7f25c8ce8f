package server

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/schema"
)

// maxDeliveries is the number of remembered deliveries. The oldest is forgotten first.
const maxDeliveries = 1024

// signature is a body's HMAC-SHA256.
type signature = [sha256.Size]byte

// hook receives Gitea's webhooks. A push event only causes a look-up of the branch at the git
// server; nothing else in it is trusted.
type hook struct {
	secret []byte
	notify NotifyFunc

	mu     sync.Mutex
	seen   map[signature]time.Time // when it was first accepted
	latest []signature             // a ring buffer
	next   int
}

// NotifyFunc schedules look-ups after a push to a repository, as owner/name, and returns the
// templates that it may affect. A zero time is one of a new push; one that was reported before, at
// since, affects only what has not been looked up after that time. known reports whether the
// catalogue has the repository. It must not block.
type NotifyFunc func(repository, ref string, since time.Time) (templates []string, known bool)

func newHook(secret string, notify NotifyFunc) *hook {
	return &hook{secret: []byte(secret), notify: notify, seen: map[signature]time.Time{},
		latest: make([]signature, maxDeliveries)}
}

// signatureOf returns the signature in Gitea's header: the body's HMAC-SHA256 under the secret, in
// hex.
func signatureOf(r *http.Request) (got signature, ok bool) {
	text, err := hex.DecodeString(r.Header.Get("X-Gitea-Signature"))
	if err != nil || len(text) != len(got) {
		return got, false
	}
	return signature(text), true
}

func (h *hook) verify(body []byte, got signature) bool {
	mac := hmac.New(sha256.New, h.secret)
	_, _ = mac.Write(body) // never fails
	return hmac.Equal(got[:], mac.Sum(nil))
}

// firstSeen returns when a body with this signature was first accepted, or zero. Nothing else of a
// delivery is signed. A replay could only cause one more request to the git server.
func (h *hook) firstSeen(s signature) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seen[s]
}

// remember records a body that caused a look-up. All others are new when they come again.
func (h *hook) remember(s signature, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.seen[s].IsZero() {
		return
	}
	delete(h.seen, h.latest[h.next])
	h.latest[h.next], h.seen[s] = s, now
	h.next = (h.next + 1) % len(h.latest)
}

// push is the part of a push event that the server reads.
type push struct {
	Ref        string `json:"ref"`
	Repository struct {
		FullName string `json:"full_name"`
	} `json:"repository"`
}

// checkWebhook refuses a request that cannot be a signed webhook before its body is read.
func (s *Server) checkWebhook(r *http.Request) *problem {
	if s.hook == nil {
		return refusal(http.StatusNotFound, "no-such-route", "There is no webhook",
			"start the server with --watch and a secret for webhooks")
	}
	if kind := contentType(r); kind != typeJSON && kind != typeForm {
		return refusal(http.StatusUnsupportedMediaType, "unsupported-media-type",
			"The webhook's content type is not supported",
			"choose application/json in the webhook's settings, or "+typeForm)
	}
	if _, ok := signatureOf(r); !ok {
		return badSignature()
	}
	return nil
}

// The content types of a webhook. In a form the event is the field payload.
const (
	typeJSON = "application/json"
	typeForm = "application/x-www-form-urlencoded"
)

// contentType returns the media type of a body, without its parameters.
func contentType(r *http.Request) string {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return kind
}

// readEvent returns the event of a signed webhook. Gitea signs the event itself, also in a form;
// other forges sign the body as it is sent.
func (h *hook) readEvent(r *http.Request, sent signature) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	event := body
	if contentType(r) == typeForm {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, err
		}
		event = []byte(form.Get("payload"))
	}
	if !h.verify(event, sent) && !h.verify(body, sent) {
		return nil, errors.New("the signature is wrong")
	}
	return event, nil
}

func badSignature() *problem {
	return refusal(http.StatusForbidden, "not-signed", "The signature is wrong",
		"X-Gitea-Signature must be the HMAC-SHA256 of the event under the server's secret, in hex")
}

// gitea handles a push event.
func (s *Server) gitea(w http.ResponseWriter, r *http.Request) {
	got, _ := signatureOf(r)
	event, err := s.hook.readEvent(r, got)
	if err != nil {
		s.writeProblem(w, r, badSignature())
		return
	}
	var p push
	switch {
	case r.Header.Get("X-Gitea-Event") != "push":
		w.WriteHeader(http.StatusNoContent)
		return
	case json.Unmarshal(event, &p) != nil || p.Repository.FullName == "":
		s.writeProblem(w, r, badRequest("the event is not a push event"))
		return
	}
	now := time.Now() // before the look-up that the next line schedules
	names, known := s.hook.notify(p.Repository.FullName, p.Ref, s.hook.firstSeen(got))
	at := s.clean(p.Repository.FullName)
	switch {
	case !known:
		s.writeProblem(w, r, refusal(http.StatusNotFound, "not-in-catalogue",
			"No template follows a branch of this repository",
			fmt.Sprintf("add a template with the repository %s to the catalogue, or remove the "+
				"webhook", at)))
	case len(names) == 0:
		w.WriteHeader(http.StatusNoContent)
	default:
		s.hook.remember(got, now)
		s.log.Info(fmt.Sprintf("webhook: push to %s %s: looking up %s", at, s.clean(p.Ref),
			strings.Join(names, ", ")))
		s.writeJSON(w, http.StatusAccepted, struct {
			Schema    int      `json:"schema"`
			Templates []string `json:"templates"`
		}{schema.Version, names})
	}
}
