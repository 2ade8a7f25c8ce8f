package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"time"
)

// observe logs each request in one line, without its query, and answers requests whose handler
// panics.
func (s *Server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		s.idle.enter()
		defer s.idle.leave()
		if r.ContentLength != 0 {
			// Even a body that no handler reads needs a deadline: net/http reads the rest of it to
			// reuse the connection. Some connections do not support deadlines.
			_ = http.NewResponseController(w).SetReadDeadline(start.Add(s.limits.body))
		}
		rec := &statusRecorder{ResponseWriter: w}
		defer func() {
			if cause := recover(); cause != nil {
				if cause == http.ErrAbortHandler { //nolint:errorlint // as net/http does
					panic(cause)
				}
				s.log.Error(fmt.Sprintf("panic while serving a request: %s",
					s.clean(fmt.Sprint(cause))), "stack", s.clean(string(debug.Stack())))
				if rec.status == 0 {
					s.writeProblem(rec, r, refusal(http.StatusInternalServerError, "internal",
						"Internal error",
						"the server's log has the details"))
				}
			}
			s.log.Debug("request", "method", r.Method, "path", r.URL.EscapedPath(), "status",
				rec.status, "note", rec.note, "ms", time.Since(start).Milliseconds())
		}()
		next.ServeHTTP(rec, r)
	})
}

// statusRecorder records what the log says about a response.
type statusRecorder struct {
	http.ResponseWriter
	status int
	note   string
}

// WriteHeader implements http.ResponseWriter.
func (r *statusRecorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (r *statusRecorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(p)
}

// Unwrap implements the interface of http.ResponseController.
func (r *statusRecorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// note adds a word to the request's line in the log.
func note(w http.ResponseWriter, word string) {
	if r, ok := w.(*statusRecorder); ok {
		r.note = word
	}
}

// precheck refuses a request by its header, before its body is read.
func (s *Server) precheck(check func(*http.Request) *problem, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := check(r); p != nil {
			w.Header().Set("Connection", "close") // without reading a body
			s.writeProblem(w, r, p)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// limit bounds the number of concurrent requests of a handler. Their bodies have been read by then,
// so a slow sender does not take a slot.
func (s *Server) limit(places slots, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !places.take() {
			s.writeProblem(w, r, tooMany("requests of this kind"))
			return
		}
		defer places.free()
		next(w, r)
	}
}

// bufferBody reads the whole body before it calls the handler. The body is bounded in size, and in
// time by the deadline that observe sets. A body that exceeds either costs the connection.
func (s *Server) bufferBody(maxBytes int64, queue *readers, next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			if p := s.readBody(w, r, maxBytes, queue); p != nil {
				w.Header().Set("Connection", "close")
				s.writeProblem(w, r, p)
				return
			}
		}
		next(w, r)
	})
}

func (s *Server) readBody(
	w http.ResponseWriter, r *http.Request, maxBytes int64, queue *readers,
) *problem {
	if queue != nil {
		from := addressOf(r)
		if !queue.take(from) {
			return tooMany("request bodies being received")
		}
		defer queue.free(from)
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBytes))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return refusal(http.StatusRequestEntityTooLarge, "too-large", "The body is too large",
			fmt.Sprintf("the limit is %d bytes", maxBytes))
	case errors.Is(err, os.ErrDeadlineExceeded):
		return refusal(http.StatusRequestTimeout, "timeout", "The body took too long",
			fmt.Sprintf("it must arrive within %s", s.limits.body))
	case err != nil:
		return badRequest("the body is incomplete")
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // best effort
	r.Body = io.NopCloser(bytes.NewReader(text))
	return nil
}
