package server

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"time"
)

// watched logs each request in one line, without its query, and answers for what panics.
func (s *Server) watched(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		if r.ContentLength != 0 {
			// Also where the body is not wanted: net/http reads on for a while to keep the
			// connection.
			// not on all connections
			_ = http.NewResponseController(w).SetReadDeadline(begun.Add(s.limits.body))
		}
		noted := &notes{ResponseWriter: w}
		defer func() {
			if cause := recover(); cause != nil {
				if cause == http.ErrAbortHandler { //nolint:errorlint // as net/http compares it
					panic(cause)
				}
				s.log.Error(fmt.Sprintf("a request made the server panic: %s",
					s.clean(fmt.Sprint(cause))), "stack", s.clean(string(debug.Stack())))
				if noted.status == 0 {
					s.tell(noted, r, refusal(http.StatusInternalServerError, "internal",
						"Something went wrong",
						"this is a fault of the server's; its log says more"))
				}
			}
			s.log.Debug("request", "method", r.Method, "path", r.URL.EscapedPath(), "status",
				noted.status,
				"note", noted.note, "ms", time.Since(begun).Milliseconds())
		}()
		next.ServeHTTP(noted, r)
	})
}

// notes is an answer of which the log will tell.
type notes struct {
	http.ResponseWriter
	status int
	note   string
}

// WriteHeader implements http.ResponseWriter.
func (n *notes) WriteHeader(status int) {
	if n.status == 0 {
		n.status = status
	}
	n.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (n *notes) Write(p []byte) (int, error) {
	if n.status == 0 {
		n.status = http.StatusOK
	}
	return n.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (n *notes) Unwrap() http.ResponseWriter { return n.ResponseWriter }

// note adds a word to the request's line in the log.
func note(w http.ResponseWriter, word string) {
	if n, ok := w.(*notes); ok {
		n.note = word
	}
}

// authorized wants the token, if the server has one.
func (s *Server) authorized(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.token != nil && !s.knows(r.Header.Get("Authorization")) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="pinion"`)
			w.Header().Set("Connection", "close") // a body that may come is not read
			s.tell(w, r, refusal(http.StatusUnauthorized, "unauthenticated", "A token is wanted",
				"send the header Authorization: Bearer with the server's token"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) knows(header string) bool {
	scheme, token, _ := strings.Cut(header, " ")
	sum := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(sum[:], s.token[:]) == 1 &&
		strings.EqualFold(scheme, "bearer")
}

// vetted asks about a request before its body is read.
func (s *Server) vetted(first func(*http.Request) *problem, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := first(r); p != nil {
			w.Header().Set("Connection", "close") // a body that may come is not read
			s.tell(w, r, p)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// atOnce bounds how many requests are answered at once. Their bodies are here by then, so that no
// slow sender holds a place.
func (s *Server) atOnce(places slots, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !places.take() {
			s.tell(w, r, tooMany("requests of this kind"))
			return
		}
		defer places.free()
		next(w, r)
	}
}

// bounded reads the body whole before anything is done, within its size and the time that watched
// gives it. What comes late or does not end costs its sender the connection.
func (s *Server) bounded(most int64, among *readers, next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			if p := s.readBody(w, r, most, among); p != nil {
				w.Header().Set("Connection", "close")
				s.tell(w, r, p)
				return
			}
		}
		next(w, r)
	})
}

func (s *Server) readBody(w http.ResponseWriter, r *http.Request, most int64,
	among *readers) *problem {
	if among != nil {
		from := addressOf(r)
		if !among.take(from) {
			return tooMany("bodies on their way")
		}
		defer among.free(from)
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return refusal(http.StatusRequestEntityTooLarge, "too-large", "The body is too large",
			fmt.Sprintf("at most %d bytes are read here", most))
	case errors.Is(err, os.ErrDeadlineExceeded):
		return refusal(http.StatusRequestTimeout, "timeout", "The body took too long",
			fmt.Sprintf("it has to be here after %s", s.limits.body))
	case err != nil:
		return badRequest("the body broke off")
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // not on all connections
	r.Body = io.NopCloser(bytes.NewReader(text))
	return nil
}
