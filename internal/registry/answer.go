package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	remoteerrors "github.com/containerd/containerd/v2/core/remotes/errors"
	cerrdefs "github.com/containerd/errdefs"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/errtext"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// maxAnswer is the most that is read of an answer that is no success, in bytes.
const maxAnswer = 16 << 10

// answerError is an answer of a registry, or of a proxy before it, that is no success.
type answerError struct {
	request string // method and path
	status  int
	text    string // what the registry's errors say, or what else there was
	// codes are those of the OCI distribution spec ("Error Codes").
	codes []string
}

// Error implements error.
func (e *answerError) Error() string {
	text := fmt.Sprintf("%s: %d %s", e.request, e.status, http.StatusText(e.status))
	if e.text != "" {
		text += ": " + e.text
	}
	return text
}

// answered returns what an answer says. It reads and closes the body.
func answered(resp *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // what came is all there is to say
	_ = resp.Body.Close()
	e := &answerError{request: resp.Request.Method + " " + resp.Request.URL.Path,
		status: resp.StatusCode}
	var list struct {
		Errors []struct{ Code, Message string }
	}
	if json.Unmarshal(body, &list) != nil || len(list.Errors) == 0 {
		e.text = strings.TrimSpace(errtext.Plain(errors.New(string(body))).Error())
		return e
	}
	var texts []string
	for _, one := range list.Errors {
		e.codes = append(e.codes, one.Code)
		code := strings.ToLower(strings.ReplaceAll(one.Code, "_", " "))
		texts = append(texts, strings.TrimSuffix(code+": "+one.Message, ": "))
	}
	e.text = strings.Join(texts, "; ")
	return e
}

// statusOf returns the status of a registry's answer, 0 if it gave none.
func statusOf(err error) int {
	if own, ok := errors.AsType[*answerError](err); ok {
		return own.status
	}
	if theirs, ok := errors.AsType[remoteerrors.ErrUnexpectedStatus](err); ok {
		return theirs.StatusCode
	}
	switch {
	case cerrdefs.IsNotFound(err):
		return http.StatusNotFound
	case errors.Is(err, docker.ErrInvalidAuthorization):
		return http.StatusUnauthorized
	}
	return 0
}

// isTransient reports whether a later request may not get this status.
func isTransient(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusRequestTimeout:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	}
	return status >= 500
}

// isBroken reports whether a connection was not made, or ended before there was an answer. What
// waiting does not mend, such as a name that does not exist or a wrong certificate, is no such
// failure.
func isBroken(err error) bool {
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return false
	}
	_, isOp := errors.AsType[*net.OpError](err)
	slow, isURL := errors.AsType[*url.Error](err)
	return isOp || isURL && slow.Timeout() || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE)
}

// fail makes an *imagestore.Error of what a registry did; nil stays nil. No answer is
// ErrUnavailable.
func (r *Repository) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	if done, ok := errors.AsType[*imagestore.Error](err); ok {
		return done
	}
	ref := r.named.String()
	why, status := r.refusal(err), statusOf(err)
	if status == 0 && why.Cause == nil {
		why = Refusal{Cause: imagestore.ErrUnavailable, Situation: errdef.RegistryUnreachable}
	}
	return &imagestore.Error{Op: op, Origin: imagestore.OriginRegistry, Ref: ref,
		Err: r.login.Explain(why, ref, r.login.Clean(err))}
}

func (r *Repository) refusal(err error) Refusal {
	return RefusalOf(err, statusOf(err), r.named.String())
}
