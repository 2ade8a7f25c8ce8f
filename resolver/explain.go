package resolver

import (
	"errors"
	"fmt"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// mirroredToday are the runtimes whose repositories exist at DefaultRepoPrefix.
const mirroredToday = "claude-code, hermes, langgraph, autogen"

var (
	errNoRemote        = fmt.Errorf("%w: no repository given", ErrInvalidInput)
	errEmptyRepository = fmt.Errorf("%w: repository is empty: push a first commit, or set the "+
		"default branch to one that exists", ErrNotFound)
)

func missingBranch(ref git.Ref) error {
	if ref.Tag() != "" {
		return fmt.Errorf("%w: the repository has no tag %s: check its name, or push it",
			ErrNotFound, quote(ref.Tag()))
	}
	if n := ref.PullRequest(); n != 0 {
		return fmt.Errorf("%w: the repository has no pull request %d", ErrNotFound, n)
	}
	return fmt.Errorf("%w: the repository has no branch %s: check its name, or push it",
		ErrNotFound, quote(ref.Branch()))
}

// missingRepository explains a repository that isn't there, as far as this
// credential can see: a forge answers a private one in the same way. The URL is
// in the Error around it.
func (c *Client) missingRepository(remote git.Remote) error {
	text := "the runtime is not mirrored: there is no such repository"
	if strings.HasPrefix(remote.String(), DefaultRepoPrefix) {
		text += " (mirrored there today: " + mirroredToday + ")"
	}
	env := c.tokenHint(remote.Host())
	if c.creds.For(remote).Token == "" {
		text += ", or it is private and there is no token for it: set " + env
	} else {
		text += ", or the token in " + env + " may not read it: check the token"
	}
	return fmt.Errorf("%w: %s, check the URL, or push a mirror to it", ErrNotFound, text)
}

// unauthorized explains a 401 or 403 and says what to do about the token.
func (c *Client) unauthorized(remote git.Remote, denied *statusError) error {
	env := c.tokenHint(remote.Host())
	var text string
	switch {
	case c.creds.For(remote).Token == "":
		text = "the repository is private or isn't there: set " + env +
			" to a token that may read it, or check the URL"
	case denied.code == statusUnauthorized && c.creds.For(remote).User != "":
		text = "the token in " + env + " was rejected with the user name that the configuration " +
			"gives: check both on " + remote.Host()
	case denied.code == statusUnauthorized:
		text = "the token in " + env + " was rejected: make a new one on " + remote.Host() +
			" that may read repositories, or, if it goes with a user name, write user under " +
			"credentials in the config file"
	default:
		text = "the token in " + env +
			" may not read the repository: give it the permission to read repositories"
	}
	return fmt.Errorf("%w: %s: %w", ErrUnauthorized, text, denied)
}

// isFinal reports whether err says more than the error that is being explained.
func isFinal(err error) bool {
	var moved *MovedError
	return errors.As(err, &moved) || errors.Is(err, ErrRateLimited)
}
