package server

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"sync"
)

// keptDeliveries is how many deliveries are remembered, the latest.
const keptDeliveries = 1024

// hook is Gitea's webhook. What a push says is believed only so far as to ask the git server where the branch is.
type hook struct {
	secret []byte
	pushed func(repository, ref string) []string

	mu     sync.Mutex
	seen   map[string]bool
	latest []string // a ring
	next   int
}

func newHook(secret string, pushed func(repository, ref string) []string) *hook {
	return &hook{secret: []byte(secret), pushed: pushed, seen: map[string]bool{}, latest: make([]string, keptDeliveries)}
}

// signed checks the signature that Gitea sends: the body's HMAC-SHA256 under the secret, in hex.
func (h *hook) signed(body []byte, signature string) bool {
	got, err := hex.DecodeString(signature)
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, h.secret)
	_, _ = mac.Write(body) // never fails
	return hmac.Equal(got, mac.Sum(nil))
}

// first says whether a delivery is new. It is for the sender's sake: a replay could do no more than have the git
// server asked once more.
func (h *hook) first(delivery string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.seen[delivery] {
		return false
	}
	delete(h.seen, h.latest[h.next])
	h.latest[h.next], h.seen[delivery] = delivery, true
	h.next = (h.next + 1) % len(h.latest)
	return true
}

// push is what is read of a push event.
type push struct {
	Ref        string `json:"ref"`
	Repository struct {
		FullName string `json:"full_name"`
	} `json:"repository"`
}

// gitea takes a push.
func (s *Server) gitea(w http.ResponseWriter, r *http.Request) {
	if s.hook == nil {
		s.tell(w, r, refusal(http.StatusNotFound, "no-such-route", "There is no webhook", "start the server with --watch and a secret for webhooks"))
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || !s.hook.signed(body, r.Header.Get("X-Gitea-Signature")) {
		s.tell(w, r, refusal(http.StatusForbidden, "not-signed", "The signature is wrong", "X-Gitea-Signature has to be the body's HMAC-SHA256 under the server's secret"))
		return
	}
	delivery := r.Header.Get("X-Gitea-Delivery")
	var p push
	switch {
	case len(delivery) == 0 || len(delivery) > 64:
		s.tell(w, r, badRequest("X-Gitea-Delivery is missing or too long"))
		return
	case r.Header.Get("X-Gitea-Event") != "push" || !s.hook.first(delivery):
		w.WriteHeader(http.StatusNoContent)
		return
	case json.Unmarshal(body, &p) != nil || p.Repository.FullName == "":
		s.tell(w, r, badRequest("the body is no push event"))
		return
	}
	names := s.hook.pushed(p.Repository.FullName, p.Ref)
	if len(names) == 0 {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	s.answer(w, http.StatusAccepted, struct {
		Schema    int      `json:"schema"`
		Templates []string `json:"templates"`
	}{schemaVersion, names})
}
