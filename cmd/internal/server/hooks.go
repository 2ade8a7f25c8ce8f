package server

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"sync"

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
	notify func(repository, ref string) []string

	mu     sync.Mutex
	seen   map[signature]bool
	latest []signature // a ring buffer
	next   int
}

func newHook(secret string, notify func(repository, ref string) []string) *hook {
	return &hook{secret: []byte(secret), notify: notify, seen: map[signature]bool{},
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

// isReplay reports whether a body with this signature was accepted before. Nothing else of a
// delivery is signed. A replay could only cause one more request to the git server.
func (h *hook) isReplay(s signature) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seen[s]
}

// remember records a body that caused a look-up. All others may be delivered again.
func (h *hook) remember(s signature) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.seen[s] {
		return
	}
	delete(h.seen, h.latest[h.next])
	h.latest[h.next], h.seen[s] = s, true
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
	if _, ok := signatureOf(r); !ok {
		return badSignature()
	}
	return nil
}

func badSignature() *problem {
	return refusal(http.StatusForbidden, "not-signed", "The signature is wrong",
		"X-Gitea-Signature must be the body's HMAC-SHA256 under the server's secret, in hex")
}

// gitea handles a push event.
func (s *Server) gitea(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	got, _ := signatureOf(r)
	if err != nil || !s.hook.verify(body, got) {
		s.writeProblem(w, r, badSignature())
		return
	}
	var p push
	switch {
	case r.Header.Get("X-Gitea-Event") != "push" || s.hook.isReplay(got):
		w.WriteHeader(http.StatusNoContent)
		return
	case json.Unmarshal(body, &p) != nil || p.Repository.FullName == "":
		s.writeProblem(w, r, badRequest("the body is not a push event"))
		return
	}
	names := s.hook.notify(p.Repository.FullName, p.Ref)
	if len(names) == 0 {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	s.hook.remember(got)
	s.writeJSON(w, http.StatusAccepted, struct {
		Schema    int      `json:"schema"`
		Templates []string `json:"templates"`
	}{schema.Version, names})
}
