package resolver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// Gitea's JSON API (its swagger document calls it v1; Forgejo has the same).
const (
	apiPath  = "/api/v1/repos/"
	jsonType = "application/json"
)

// errNoForge: nothing at this URL has the API.
var errNoForge = errors.New("the forge has no API that is known here")

// apiURL gives the API's URL of a repository whose path ends in owner/name;
// what stands before is the sub-path that the forge is served below.
func apiURL(remote git.Remote) (string, bool) {
	parts := strings.Split(remote.Path(), "/")
	if len(parts) < 2 {
		return "", false
	}
	base := remote.Scheme() + "://" + remote.Host()
	for _, part := range parts[:len(parts)-2] {
		base += "/" + url.PathEscape(part)
	}
	return base + apiPath + escapePath(strings.Join(parts[len(parts)-2:], "/")), true
}

// apiGet asks the API for something of a repository and passes an answer with
// status 200 to read. suffix must be escaped.
func (c *Client) apiGet(
	ctx context.Context, remote git.Remote, suffix string, read func(*http.Response) error,
) error {
	base, ok := apiURL(remote)
	if !ok {
		return errNoForge
	}
	resp, err := c.sendRetrying(ctx, c.retries, maxBody, func() (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+suffix, nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Accept", jsonType)
		c.sign(req, remote)
		return req, nil
	})
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	if resp.StatusCode != http.StatusOK {
		return refusalOf(resp, remote)
	}
	if err := requireType(resp, jsonType); err != nil {
		return err
	}
	return read(resp)
}

// apiObject is apiGet for one JSON object.
func (c *Client) apiObject(ctx context.Context, remote git.Remote, suffix string) (object, error) {
	var answer object
	err := c.apiGet(ctx, remote, suffix, func(resp *http.Response) (err error) {
		answer, err = decodeObject(resp.Body)
		return err
	})
	return answer, err
}

// repository is what the API says about a repository.
type repository struct {
	branch git.Ref // the default branch, HEAD if there is none
	format git.ObjectFormat
}

func (c *Client) repository(ctx context.Context, remote git.Remote) (repository, error) {
	answer, err := c.apiObject(ctx, remote, "")
	if err != nil {
		return repository{}, err
	}
	name, err := answer.text("default_branch")
	if err != nil {
		return repository{}, err
	}
	repo := repository{format: git.SHA1}
	if name != "" {
		if repo.branch, err = git.ParseBranch(name); err != nil {
			return repository{}, fmt.Errorf("%w: the default branch %s", ErrInvalidAnswer,
				quoteAnswer(name))
		}
	}
	// Gitea before 1.22 knows SHA1 alone, and doesn't say.
	if format, err := answer.text("object_format_name"); err == nil {
		repo.format = git.ObjectFormat(format)
	}
	return repo, nil
}

// defaultBranch asks the API which branch HEAD should be. It returns HEAD if the
// API doesn't say. The error is a failure that a later request may not meet.
func (c *Client) defaultBranch(ctx context.Context, remote git.Remote) (git.Ref, error) {
	repo, err := c.repository(ctx, remote)
	if err == nil {
		return repo.branch, nil
	}
	var refusal *statusError
	if errors.As(err, &refusal) && refusal.code < 500 || errors.Is(err, errNoForge) ||
		errors.Is(err, ErrInvalidAnswer) {
		return git.HEAD, nil
	}
	return git.HEAD, c.explain(ctx, remote, err)
}

// branchByAPI looks a branch up without git's protocol.
func (c *Client) branchByAPI(ctx context.Context, remote git.Remote, ref git.Ref) (Head, error) {
	repo, err := c.repository(ctx, remote)
	if err != nil {
		return Head{}, err
	}
	if ref.IsHEAD() {
		ref = repo.branch
	}
	if ref.IsHEAD() {
		return Head{}, errEmptyRepository
	}
	answer, err := c.apiObject(ctx, remote, "/branches/"+escapePath(ref.Branch()))
	var refusal *statusError
	if errors.As(err, &refusal) && refusal.code == http.StatusNotFound {
		return Head{}, missingBranch(ref)
	}
	if err != nil {
		return Head{}, err
	}
	revision, err := branchCommit(answer, ref, repo.format)
	return Head{Revision: revision, Ref: ref}, err
}

// refByAPI asks for one branch. The API does not say whether one of several refs exists.
func (c *Client) refByAPI(
	ctx context.Context, remote git.Remote, names []string,
) (refAnswer, error) {
	ref := git.HEAD
	if len(names) != 1 || names[0] != ref.String() {
		var err error
		if ref, err = git.ParseBranch(names[0]); err != nil || len(names) != 1 {
			return refAnswer{}, errRefused
		}
	}
	head, err := c.branchByAPI(ctx, remote, ref)
	return refAnswer{name: names[0], revision: head.Revision, symref: head.Ref.String()}, err
}

// branchCommit returns the commit of the API's answer, which must be about ref.
func branchCommit(answer object, ref git.Ref, format git.ObjectFormat) (git.Revision, error) {
	name, err := answer.text("name")
	if err != nil {
		return git.Revision{}, err
	}
	if name != ref.Branch() {
		return git.Revision{}, fmt.Errorf("%w: it is about the branch %s", ErrInvalidAnswer,
			quoteAnswer(name))
	}
	hex, err := answer.text("commit", "id")
	if err != nil {
		return git.Revision{}, err
	}
	revision, err := parseObject(hex, format)
	if err != nil {
		return git.Revision{}, fmt.Errorf("%w: %w", ErrInvalidAnswer, err)
	}
	return revision, nil
}

// escapePath escapes each part of a branch's name and keeps the slashes.
func escapePath(name string) string {
	parts := strings.Split(name, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return strings.Join(parts, "/")
}
