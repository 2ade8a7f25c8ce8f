package server

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/exitcode"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

// problem is an error in the form of RFC 9457, with the members that `pinion ensure --format json`
// prints for a failure.
type problem struct {
	Type     string              `json:"type"`
	Title    string              `json:"title"`
	Status   int                 `json:"status"`
	Detail   string              `json:"detail"`
	Instance string              `json:"instance,omitempty"`
	Class    pinion.Class        `json:"class,omitempty"`
	Origin   pinion.Origin       `json:"origin,omitempty"`
	ExitCode int                 `json:"exit_code,omitempty"`
	Step     string              `json:"step,omitempty"`
	Log      []string            `json:"log,omitempty"`
	Checks   []pinion.BuildCheck `json:"checks,omitempty"`

	retryAfter string // seconds, for the header
	ofBuild    bool   // that failed
}

// problemType is the prefix of every problem's type, a URN.
const problemType = "urn:pinion:problem:"

// refusal is a problem of the request or of the server itself.
func refusal(status int, kind, title, detail string) *problem {
	return &problem{Type: problemType + kind, Title: title, Status: status, Detail: detail}
}

func badRequest(detail string) *problem {
	return refusal(http.StatusBadRequest, "bad-request", "The request is invalid", detail)
}

func (p *problem) later(seconds string) *problem {
	p.retryAfter = seconds
	return p
}

func draining() *problem {
	return refusal(http.StatusServiceUnavailable, "draining", "The server is shutting down",
		"it starts no new builds; retry with the next server").later("5")
}

func tooMany(what string) *problem {
	return refusal(http.StatusServiceUnavailable, "too-many", "Too many requests",
		"there are too many "+what+"; retry later").later("5")
}

// failureProblem is the problem of a build or look-up that failed.
func failureProblem(f pinion.Failure) *problem {
	status, title := statusOf(f.Class)
	p := &problem{
		Type: problemType + string(f.Class), Title: title, Status: status, Detail: f.Message,
		Class: f.Class, Origin: f.Origin, ExitCode: exitcode.Of(f.Class), Step: f.Step,
		Log: f.Log, Checks: f.Checks,
	}
	if status == http.StatusServiceUnavailable {
		p.retryAfter = "10"
	}
	return p
}

// after has the pause that a git server asked for as the time to retry.
func (p *problem) after(err error) *problem {
	limited, ok := errors.AsType[*resolver.RateLimitError](err)
	if ok && limited.RetryAfter > 0 && p.Status >= http.StatusBadGateway {
		p.retryAfter = strconv.Itoa(int(math.Ceil(limited.RetryAfter.Seconds())))
	}
	return p
}

// statusOf returns the status and title of a class. 4xx means that a retry cannot succeed. A
// refusal by a git server, registry or engine is never a 401 or 403, since the caller's own
// credential is valid.
func statusOf(c pinion.Class) (status int, title string) {
	switch c {
	case pinion.ClassUsage:
		return http.StatusBadRequest, "The request or a setting is invalid"
	case pinion.ClassNotFound:
		return http.StatusNotFound, "Not in the catalogue, at the git server or in the registry"
	case pinion.ClassUnauthorized:
		return http.StatusBadGateway, "A git server or registry refused the server's credential"
	case pinion.ClassUnreachable:
		return http.StatusBadGateway, "A git server or registry is unavailable"
	case pinion.ClassNoBuilder:
		return http.StatusServiceUnavailable, "No builder is available"
	case pinion.ClassStore:
		return http.StatusServiceUnavailable,
			"The image store is unavailable or refused the image"
	case pinion.ClassLock:
		return http.StatusServiceUnavailable, "Another process holds the lock on the image"
	case pinion.ClassBuild:
		return http.StatusUnprocessableEntity, "The template's build failed or was refused"
	case pinion.ClassStalled:
		return http.StatusGatewayTimeout, "The build made no progress for too long"
	case pinion.ClassTimeLimit:
		return http.StatusGatewayTimeout, "The build took longer than its time limit"
	case pinion.ClassCancelled:
		return http.StatusServiceUnavailable, "The build was cancelled"
	case pinion.ClassVerification:
		return http.StatusInternalServerError, "The delivered image is not the one that was built"
	default:
		return http.StatusInternalServerError, "Internal error"
	}
}

// writeProblem sanitizes a problem and writes it.
func (s *Server) writeProblem(w http.ResponseWriter, r *http.Request, p *problem) {
	shown := *p
	shown.Detail, shown.Instance = s.clean(p.Detail), r.URL.EscapedPath()
	shown.Step, shown.Log = s.clean(p.Step), nil
	for _, line := range p.Log {
		shown.Log = append(shown.Log, s.clean(line))
	}
	shown.Checks = nil
	for _, c := range p.Checks {
		shown.Checks = append(shown.Checks, c.Clean(s.clean))
	}
	if p.retryAfter != "" {
		w.Header().Set("Retry-After", p.retryAfter)
	}
	note(w, p.Type[len(problemType):])
	s.writeBody(w, p.Status, "application/problem+json", shown)
}

// writeJSON writes a result.
func (s *Server) writeJSON(w http.ResponseWriter, status int, v any) {
	s.writeBody(w, status, "application/json", v)
}

func (s *Server) writeBody(w http.ResponseWriter, status int, kind string, v any) {
	text, err := json.Marshal(v)
	if err != nil { // a programming error
		status, text = http.StatusInternalServerError, []byte("null")
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	// best effort
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.limits.write))
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // the caller may have disconnected
}
