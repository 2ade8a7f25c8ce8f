package server

import (
	"encoding/json"
	"net/http"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/exitcode"
)

// problem is an error as RFC 9457 wants it, with what `pinion ensure --format json` says of a
// failure.
type problem struct {
	Type     string        `json:"type"`
	Title    string        `json:"title"`
	Status   int           `json:"status"`
	Detail   string        `json:"detail"`
	Instance string        `json:"instance,omitempty"`
	Class    pinion.Class  `json:"class,omitempty"`
	Origin   pinion.Origin `json:"origin,omitempty"`
	ExitCode int           `json:"exit_code,omitempty"`

	retryAfter string // seconds, for the header
}

// problemType is the part of the type's URN that says which problem it is.
const problemType = "urn:pinion:problem:"

// refusal is a problem that is the request's, or the server's own.
func refusal(status int, kind, title, detail string) *problem {
	return &problem{Type: problemType + kind, Title: title, Status: status, Detail: detail}
}

func badRequest(detail string) *problem {
	return refusal(http.StatusBadRequest, "bad-request", "The request makes no sense", detail)
}

func (p *problem) later(seconds string) *problem {
	p.retryAfter = seconds
	return p
}

func draining() *problem {
	return refusal(http.StatusServiceUnavailable, "draining", "The server is about to end",
		"no new builds are begun; ask the next server").later("5")
}

func tooMany(what string) *problem {
	return refusal(http.StatusServiceUnavailable, "too-many", "Too much at once",
		"there are too many "+what+"; ask again when some have ended").later("5")
}

// failed is the problem of a build or look-up that came to nothing. Its text is fit to be shown.
func failed(f pinion.Failure) *problem {
	status, title := answerTo(f.Class)
	p := &problem{
		Type: problemType + string(f.Class), Title: title, Status: status, Detail: f.Message,
		Class: f.Class, Origin: f.Origin, ExitCode: exitcode.Of(f.Class),
	}
	if status == http.StatusServiceUnavailable {
		p.retryAfter = "10"
	}
	return p
}

// answerTo gives each class its status. 4xx is what asking again will not mend; what a git server,
// registry or engine behind this one refuses is never a 401 or 403, since the caller's own
// credential is fine.
func answerTo(c pinion.Class) (status int, title string) {
	switch c {
	case pinion.ClassUsage:
		return http.StatusBadRequest, "The request or a setting makes no sense"
	case pinion.ClassNotFound:
		return http.StatusNotFound, "Not in the catalogue, or not at the git server or registry"
	case pinion.ClassUnauthorized:
		return http.StatusBadGateway, "A git server or registry refused the server's credential"
	case pinion.ClassUnreachable:
		return http.StatusBadGateway, "A git server or registry does not answer as it should"
	case pinion.ClassNoBuilder:
		return http.StatusServiceUnavailable, "No builder answers"
	case pinion.ClassStore:
		return http.StatusServiceUnavailable,
			"The image store does not answer or did not take the image"
	case pinion.ClassLock:
		return http.StatusServiceUnavailable, "Another process holds the lock on the image"
	case pinion.ClassBuild:
		return http.StatusUnprocessableEntity, "The template's build failed or was refused"
	case pinion.ClassStalled:
		return http.StatusGatewayTimeout, "Nothing moved in the build for too long"
	case pinion.ClassCancelled:
		return http.StatusServiceUnavailable, "The build was cancelled"
	case pinion.ClassVerification:
		return http.StatusInternalServerError, "What was delivered is not what was built"
	default:
		return http.StatusInternalServerError, "Something went wrong"
	}
}

// tell writes the problem.
func (s *Server) tell(w http.ResponseWriter, r *http.Request, p *problem) {
	shown := *p
	shown.Detail, shown.Instance = s.clean(p.Detail), r.URL.EscapedPath()
	if p.retryAfter != "" {
		w.Header().Set("Retry-After", p.retryAfter)
	}
	note(w, p.Type[len(problemType):])
	s.write(w, p.Status, "application/problem+json", shown)
}

// answer writes a result.
func (s *Server) answer(w http.ResponseWriter, status int, v any) {
	s.write(w, status, "application/json", v)
}

func (s *Server) write(w http.ResponseWriter, status int, kind string, v any) {
	text, err := json.Marshal(v)
	if err != nil { // a type of ours that cannot be written: the tests would show it
		status, text = http.StatusInternalServerError, []byte("null")
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	// not on all connections
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.limits.write))
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // the caller may have gone
}
