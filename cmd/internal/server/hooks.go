package server

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/schema"
)

// maxDeliveries is the number of remembered deliveries. The oldest is forgotten first.
const maxDeliveries = 1024

// signature is an event's HMAC-SHA256.
type signature = [sha256.Size]byte

// hook receives the webhooks of forges. A push event only causes a look-up of the branch at the git
// server; nothing else in it is trusted. Of an event of a pull request, whose it is.
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

// firstSeen returns when an event with this signature was first accepted, or zero. A replay could
// only cause one more request to the git server.
func (h *hook) firstSeen(s signature) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seen[s]
}

// remember records an event that caused a look-up. All others are new when they come again.
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

// checkWebhook refuses a request that cannot be a signed webhook of that forge before its body is
// read.
func (s *Server) checkWebhook(f hookForge) func(*http.Request) *problem {
	return func(r *http.Request) *problem {
		if s.hook == nil {
			return refusal(http.StatusNotFound, "no-such-route", "There is no webhook",
				"start the server with --watch and a secret for webhooks")
		}
		kind, remedy := contentType(r), "choose application/json in the webhook's settings"
		if f.forms {
			remedy += ", or " + typeForm
		}
		if kind != typeJSON && (kind != typeForm || !f.forms) {
			return refusal(http.StatusUnsupportedMediaType, "unsupported-media-type",
				"The webhook's content type is not supported", remedy)
		}
		if f.isPing(r) {
			return nil
		}
		if p, ok := f.proofOf(r); !ok || !p.isPossible(r, s.hook.secret) {
			return badSignature(f, r)
		}
		return nil
	}
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

// readEvent returns the event of a webhook whose sender has the secret. Gitea signs the event
// itself, also in a form; other forges sign the body as it is sent.
func (h *hook) readEvent(r *http.Request, f hookForge) ([]byte, error) {
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
	if p, ok := f.proofOf(r); !ok || !p.proves(r, h.secret, event, body) {
		return nil, errors.New("the signature is wrong")
	}
	return event, nil
}

func badSignature(f hookForge, r *http.Request) *problem {
	p, ok := f.proofOf(r)
	if !ok {
		p = f.proofs[len(f.proofs)-1]
	}
	return refusal(http.StatusForbidden, "not-signed", "The signature is wrong", p.describe())
}

// receive handles the webhooks of a forge.
func (s *Server) receive(f hookForge) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if f.isPing(r) {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		event, err := s.hook.readEvent(r, f)
		switch {
		case err != nil:
			s.writeProblem(w, r, badSignature(f, r))
		case f.isPush(r):
			s.pushed(w, r, f, event)
		case f.isPull(r) && s.pulls != nil:
			s.pullRequest(w, r, f, event)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	}
}

// IsRepository reports whether the path of a repository's URL is, or ends in, what a webhook calls
// it. A forge may be served below a path.
func IsRepository(url, name string) bool {
	return strings.HasSuffix(strings.TrimSuffix(strings.ToLower(url), ".git"),
		"/"+strings.ToLower(name))
}

func notInCatalogue(repository string) *problem {
	return refusal(http.StatusNotFound, "not-in-catalogue",
		"No template follows a branch of this repository",
		fmt.Sprintf("add a template with the repository %s to the catalogue, or remove the webhook",
			repository))
}

// pushed handles a push event.
func (s *Server) pushed(w http.ResponseWriter, r *http.Request, f hookForge, event []byte) {
	p, err := f.read(event)
	if err != nil {
		s.writeProblem(w, r, badRequest(err.Error()))
		return
	}
	// Where the ID of a delivery counts, it is the sender's word, as all of the body is.
	key := sum(s.hook.secret, []byte(r.Header.Get(f.delivery)), event)
	now := time.Now() // before the look-ups that the next lines schedule
	since := s.hook.firstSeen(key)
	names, known := []string{}, len(p.refs) == 0
	for _, ref := range p.refs {
		more, ok := s.hook.notify(p.repository, ref, since)
		names, known = append(names, more...), known || ok
	}
	slices.Sort(names)
	names = slices.Compact(names)
	at := s.clean(p.repository)
	switch {
	case !known:
		s.writeProblem(w, r, notInCatalogue(at))
	case len(names) == 0:
		w.WriteHeader(http.StatusNoContent)
	default:
		s.hook.remember(key, now)
		s.log.Info(fmt.Sprintf("webhook: push to %s %s: looking up %s", at,
			s.clean(strings.Join(p.refs, ", ")), strings.Join(names, ", ")))
		s.writeJSON(w, http.StatusAccepted, struct {
			Schema    int      `json:"schema"`
			Templates []string `json:"templates"`
		}{schema.Version, names})
	}
}
