package resolver

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

const (
	statusUnauthorized = http.StatusUnauthorized
	uploadPackPath     = "/git-upload-pack"
)

// statusError is an answer with a status that isn't 200, and what it says.
type statusError struct {
	code    int
	message string // the server's own words, as they came
	isAPI   bool   // they came as a forge's API writes them
}

func (e *statusError) Error() string {
	text := fmt.Sprintf("HTTP status %d", e.code)
	if e.message != "" {
		text += ": the server says " + quoteAnswer(e.message)
	}
	return text
}

// isDenial reports whether the server wants a credential, or another one.
func (e *statusError) isDenial() bool {
	return e.code == http.StatusUnauthorized || e.code == http.StatusForbidden
}

// isMissing reports whether the server says that there is nothing at the URL.
func (e *statusError) isMissing() bool {
	return e.code == http.StatusNotFound || e.code == http.StatusGone
}

// refusalOf turns an answer that isn't 200 into an error: a redirect, a rate
// limit, or a statusError for the caller to explain.
func refusalOf(resp *http.Response, remote git.Remote) error {
	wait := retryAfter(resp.Header)
	switch {
	case isRedirect(resp.StatusCode) && resp.Header.Get("Location") != "":
		return redirectError(resp, remote)
	case resp.StatusCode == http.StatusTooManyRequests,
		resp.StatusCode == http.StatusForbidden && wait > 0:
		return &RateLimitError{RetryAfter: wait}
	}
	refusal := &statusError{code: resp.StatusCode}
	refusal.message, refusal.isAPI = messageOf(resp)
	return refusal
}

// messageOf reads what the server says about its refusal, if it says it in
// plain text or as Gitea's API does: {"message": "..."}.
func messageOf(resp *http.Response) (message string, isAPI bool) {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch kind {
	case "text/plain":
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			return "", false // a part of it could hold a part of the token
		}
		return strings.TrimSpace(string(text)), false
	case jsonType, lfsType:
		answer, err := decodeObject(resp.Body)
		if err != nil {
			return "", false
		}
		message, err = answer.text("message")
		return message, err == nil
	}
	return "", false
}

func isRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// redirectError reads a redirect without following it. On the same host it may
// name the new place of a renamed repository. A redirect to another host is
// refused, since the credential is for this host alone.
func redirectError(resp *http.Response, remote git.Remote) error {
	target, err := resp.Request.URL.Parse(resp.Header.Get("Location"))
	if err != nil {
		return fmt.Errorf("%w: a redirect to something that isn't a URL", ErrInvalidAnswer)
	}
	if !sameHost(target, resp.Request.URL) {
		return fmt.Errorf("%w: a redirect to another host, %s, was not followed: if you trust "+
			"it, use its URL in the catalogue",
			ErrInvalidAnswer, quoteAnswer(target.Host))
	}
	to, err := movedTo(target, remote)
	if err != nil {
		return fmt.Errorf("%w: a redirect to %s: the server may require a sign-in; check the URL",
			ErrInvalidAnswer, quoteAnswer(target.Path))
	}
	return &MovedError{From: remote, To: to}
}

// sameHost reports whether a redirect stays on its host. A default port makes no
// difference, and https may take the place of http.
func sameHost(target, origin *url.URL) bool {
	if target.Scheme != origin.Scheme && target.Scheme != "https" {
		return false
	}
	return strings.EqualFold(withoutDefaultPort(target), withoutDefaultPort(origin))
}

func withoutDefaultPort(u *url.URL) string {
	if u.Scheme == "https" {
		return strings.TrimSuffix(u.Host, ":443")
	}
	return strings.TrimSuffix(u.Host, ":80")
}

// movedTo finds the repository in a redirect's target, which is the request's
// own path with another owner and name: Gitea gives the name without ".git".
func movedTo(target *url.URL, from git.Remote) (git.Remote, error) {
	escaped := target.EscapedPath()
	path, isGit := strings.CutSuffix(escaped, uploadPackPath)
	if !isGit {
		path, isGit = strings.CutSuffix(escaped, infoRefsPath)
	}
	if !isGit {
		before, after, isAPI := strings.Cut(escaped, apiPath)
		parts := strings.Split(after, "/")
		if !isAPI || len(parts) < 2 {
			return git.Remote{}, errors.New("not a repository")
		}
		path = before + "/" + parts[0] + "/" + parts[1]
	}
	var opts []git.RemoteOption
	if from.Scheme() == "http" {
		opts = append(opts, git.AllowInsecureHTTP())
	}
	to, err := git.ParseRemote(target.Scheme+"://"+target.Host+path, opts...)
	if err == nil && to.String() == from.String() {
		err = errors.New("the same repository")
	}
	return to, err
}
