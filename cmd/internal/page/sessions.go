package page

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"net/http"
	"sync"
	"time"
)

// FormHeader carries [Session.Form] in each request of a session that changes something. Another
// site's form cannot set a header.
const FormHeader = "Pinion-Form"

const (
	// lifetime of a session since its last request.
	lifetime = 12 * time.Hour
	// maxSessions bounds the sessions; the one that expires first ends for a new one.
	maxSessions = 1000
)

// ErrForged means that a request did not come from the page.
var ErrForged = errors.New("the request does not come from this page")

// Session is a browser that has signed in.
type Session struct {
	// Caller tells whose token the browser showed.
	Caller string
	// Form is the secret that the page sends in [FormHeader]. Other sites cannot read it.
	Form string

	expires time.Time
}

// Sessions are the browsers that have signed in. They are in memory alone. The zero value has none.
type Sessions struct {
	mu   sync.Mutex
	byID map[string]*Session
	now  func() time.Time // nil for time.Now
}

// cookieName depends on the host with its port, since cookies do not: RFC 6265, section 8.5.
func cookieName(r *http.Request) string {
	sum := sha256.Sum256([]byte(r.Host))
	return "pinion-" + hex.EncodeToString(sum[:4])
}

// Open begins a session, and sets its cookie. Scripts cannot read the cookie, and requests from
// other sites do not have it. It is for encrypted connections alone if this one is known to be.
func (s *Sessions) Open(w http.ResponseWriter, r *http.Request, caller string) Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.time()
	if s.byID == nil {
		s.byID = map[string]*Session{}
	}
	for len(s.byID) >= maxSessions {
		first := ""
		for id, old := range s.byID {
			if first == "" || old.expires.Before(s.byID[first].expires) {
				first = id
			}
		}
		delete(s.byID, first)
	}
	id := rand.Text()
	opened := &Session{Caller: caller, Form: rand.Text(), expires: now.Add(lifetime)}
	s.byID[id] = opened
	setCookie(w, r, id, 0)
	return *opened
}

// setCookie sets the cookie for a time in seconds: 0 until the browser ends, and below that to
// remove it.
func setCookie(w http.ResponseWriter, r *http.Request, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // without TLS a Secure cookie would be dropped
		Name: cookieName(r), Value: value, Path: "/", MaxAge: maxAge, HttpOnly: true,
		SameSite: http.SameSiteStrictMode, Secure: isEncrypted(r)})
}

// isEncrypted reports whether the browser's connection is encrypted, here or at a proxy. A wrong
// header costs only its sender the cookie.
func isEncrypted(r *http.Request) bool {
	return r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https"
}

// Of returns the session of a request, and whether there is one.
func (s *Sessions) Of(r *http.Request) (Session, bool) {
	id, err := r.Cookie(cookieName(r))
	if err != nil {
		return Session{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.byID[id.Value]
	now := s.time()
	if found == nil {
		return Session{}, false
	}
	if !now.Before(found.expires) {
		delete(s.byID, id.Value)
		return Session{}, false
	}
	found.expires = now.Add(lifetime)
	return *found, true
}

// Close ends the session of a request.
func (s *Sessions) Close(w http.ResponseWriter, r *http.Request) {
	if id, err := r.Cookie(cookieName(r)); err == nil {
		s.mu.Lock()
		delete(s.byID, id.Value)
		s.mu.Unlock()
	}
	setCookie(w, r, "", -1)
}

// Check returns ErrForged for a request of a session that changes something and that the page has
// not made.
func (s Session) Check(r *http.Request) error {
	form := r.Header.Get(FormHeader)
	if isRead(r) || subtle.ConstantTimeCompare([]byte(form), []byte(s.Form)) == 1 {
		return nil
	}
	return ErrForged
}

func isRead(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead ||
		r.Method == http.MethodOptions
}

func (s *Sessions) time() time.Time {
	if s.now != nil {
		return s.now()
	}
	return time.Now()
}

// CheckOrigin returns ErrForged for a request that changes something and that a browser made for
// another site's page. Programs are not concerned.
func CheckOrigin(r *http.Request) error {
	if new(http.CrossOriginProtection).Check(r) != nil {
		return ErrForged
	}
	return nil
}
