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

// keptDeliveries is how many deliveries are remembered, the latest.
const keptDeliveries = 1024

// signature is a body's HMAC-SHA256.
type signature = [sha256.Size]byte

// hook is Gitea's webhook. What a push says is believed only so far as to ask the git server where
// the branch is.
type hook struct {
	secret []byte
	pushed func(repository, ref string) []string

	mu     sync.Mutex
	seen   map[signature]bool
	latest []signature // a ring
	next   int
}

func newHook(secret string, pushed func(repository, ref string) []string) *hook {
	return &hook{secret: []byte(secret), pushed: pushed, seen: map[signature]bool{},
		latest: make([]signature, keptDeliveries)}
}

// signatureOf reads what Gitea sends: the body's HMAC-SHA256 under the secret, in hex.
func signatureOf(r *http.Request) (got signature, ok bool) {
	text, err := hex.DecodeString(r.Header.Get("X-Gitea-Signature"))
	if err != nil || len(text) != len(got) {
		return got, false
	}
	return signature(text), true
}

func (h *hook) signed(body []byte, got signature) bool {
	mac := hmac.New(sha256.New, h.secret)
	_, _ = mac.Write(body) // never fails
	return hmac.Equal(got[:], mac.Sum(nil))
}

// known says whether a body was taken already. Its signature tells, since nothing else of a
// delivery is signed. A replay could do no more than have the git server asked once more.
func (h *hook) known(s signature) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seen[s]
}

// taken remembers a body that led to something. All others may be delivered again.
func (h *hook) taken(s signature) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.seen[s] {
		return
	}
	delete(h.seen, h.latest[h.next])
	h.latest[h.next], h.seen[s] = s, true
	h.next = (h.next + 1) % len(h.latest)
}

// push is what is read of a push event.
type push struct {
	Ref        string `json:"ref"`
	Repository struct {
		FullName string `json:"full_name"`
	} `json:"repository"`
}

// maySign refuses, before its body is read, what cannot be a signed webhook.
func (s *Server) maySign(r *http.Request) *problem {
	if s.hook == nil {
		return refusal(http.StatusNotFound, "no-such-route", "There is no webhook",
			"start the server with --watch and a secret for webhooks")
	}
	if _, ok := signatureOf(r); !ok {
		return notSigned()
	}
	return nil
}

func notSigned() *problem {
	return refusal(http.StatusForbidden, "not-signed", "The signature is wrong",
		"X-Gitea-Signature has to be the body's HMAC-SHA256 under the server's secret, in hex")
}

// gitea takes a push.
func (s *Server) gitea(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	mark, _ := signatureOf(r)
	if err != nil || !s.hook.signed(body, mark) {
		s.tell(w, r, notSigned())
		return
	}
	var p push
	switch {
	case r.Header.Get("X-Gitea-Event") != "push" || s.hook.known(mark):
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
	s.hook.taken(mark)
	s.answer(w, http.StatusAccepted, struct {
		Schema    int      `json:"schema"`
		Templates []string `json:"templates"`
	}{schema.Version, names})
}
