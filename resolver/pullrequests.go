package resolver

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Values of from: whose pull requests are built when a forge reports them.
const (
	// FromSameRepository are those of whoever may push to the repository.
	FromSameRepository = "same-repository"
	// FromAnyone are all.
	FromAnyone = "anyone"
	// FromUser begins the name of one author.
	FromUser = "user:"
)

// What stays of the images of one pull request by default.
const (
	DefaultPullRequestKeep   = 1
	DefaultPullRequestMaxAge = 14 * 24 * time.Hour
)

// PullRequests says which pull requests of a template are built, and how long their images stay.
type PullRequests struct {
	// From has [FromSameRepository], [FromAnyone] and names behind [FromUser]. With none, no pull
	// request is built unless somebody requests it.
	From []string
	// Keep is how many images of one pull request stay.
	Keep int
	// MaxAge is for how long after its build an image stays.
	MaxAge time.Duration
	// Credentials gives a build the logins of registries, proxies with a password and, for
	// submodules, the git credential, as a branch's build has them.
	Credentials bool
}

// Origin is where a pull request comes from.
type Origin struct {
	// SameRepository reports whether its branch is in the repository, and in no fork.
	SameRepository bool
	// Authors are what the forge calls its author: a name or an ID.
	Authors []string
}

// Allows reports whether the pull requests of an origin are built.
func (p PullRequests) Allows(o Origin) bool {
	return slices.ContainsFunc(p.From, func(from string) bool {
		switch from {
		case FromAnyone:
			return true
		case FromSameRepository:
			return o.SameRepository
		}
		name := strings.TrimPrefix(from, FromUser)
		return slices.ContainsFunc(o.Authors, func(author string) bool {
			return strings.EqualFold(author, name)
		})
	})
}

// describe returns the rules in a few words.
func (p PullRequests) describe() string {
	from := "nobody, unless requested"
	if len(p.From) > 0 {
		from = strings.Join(p.From, " ")
	}
	text := fmt.Sprintf("pull requests from %s, %d of each kept for %s", from, p.Keep, p.MaxAge)
	if p.Credentials {
		text += ", with credentials"
	}
	return text
}

// pullRequestsConfig opts a template in to builds of pull requests.
type pullRequestsConfig struct {
	// From is nil where the key is missing.
	From        []string      `yaml:"from"`
	Keep        *int          `yaml:"keep"`
	MaxAge      time.Duration `yaml:"max_age"`
	Credentials bool          `yaml:"credentials"`
}

const keyPullRequests = "pull_requests"

// rules returns the rules with the defaults filled in.
func (c pullRequestsConfig) rules() (*PullRequests, error) {
	p := &PullRequests{From: c.From, Keep: DefaultPullRequestKeep,
		MaxAge: DefaultPullRequestMaxAge, Credentials: c.Credentials}
	if c.From == nil {
		p.From = []string{FromSameRepository}
	}
	for _, from := range p.From {
		if err := checkFrom(from); err != nil {
			return nil, inKey(err, keyPullRequests, "from")
		}
	}
	if c.Keep != nil {
		p.Keep = *c.Keep
	}
	if p.Keep < 1 {
		return nil, inKey(fmt.Errorf("%w: keep %d: give a number of images above 0",
			ErrInvalidInput, p.Keep), keyPullRequests, "keep")
	}
	if c.MaxAge != 0 {
		p.MaxAge = c.MaxAge
	}
	if p.MaxAge < 0 {
		return nil, inKey(fmt.Errorf("%w: max_age %s: give a duration above 0, for example 336h",
			ErrInvalidInput, p.MaxAge), keyPullRequests, "max_age")
	}
	return p, nil
}

func checkFrom(from string) error {
	name, isUser := strings.CutPrefix(from, FromUser)
	switch {
	case from == FromSameRepository, from == FromAnyone:
		return nil
	case isUser && name != "" && name == strings.TrimSpace(name):
		return nil
	}
	return fmt.Errorf("%w: pull requests from %s: write %s, %s or %sNAME", ErrInvalidInput,
		quote(from), FromSameRepository, FromAnyone, FromUser)
}

// checkPullRequests refuses rules that do not fit the rest of the template.
func (t Template) checkPullRequests() error {
	switch {
	case t.PullRequests == nil:
		return nil
	case t.IsPinned():
		return fmt.Errorf("%w: a pull request is for a branch, and the template follows none: "+
			"write branch instead of tag or revision, or remove pull_requests", ErrInvalidInput)
	case len(t.Submodules) > 0 && !t.PullRequests.Credentials:
		return fmt.Errorf("%w: the author of a pull request decides which repositories its "+
			"submodules are, and could read each that the git credential may read: write "+
			"credentials: true in pull_requests to allow that, or remove submodules",
			ErrInvalidInput)
	}
	return nil
}
