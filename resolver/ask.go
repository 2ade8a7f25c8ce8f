package resolver

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// ask asks for the first of the named refs that exists, in the dialect that is known or hinted at.
// If the server does not understand it, its own dialect is discovered, and remembered.
func (c *Client) ask(
	ctx context.Context, remote git.Remote, hint Dialect, names ...string,
) (refAnswer, Dialect, error) {
	d := hint
	if known, ok := c.dialects.Load(remote); ok {
		d = known.(Dialect) // only ask stores
	}
	answer, err := c.askIn(ctx, remote, d, names)
	if err != nil && c.isForeign(remote, err) {
		answer, d, err = c.discover(ctx, remote, d, names, err)
	}
	if err != nil {
		return refAnswer{}, d, err
	}
	c.dialects.Store(remote, d)
	return answer, d, nil
}

// askIn asks in one dialect.
func (c *Client) askIn(
	ctx context.Context, remote git.Remote, d Dialect, names []string,
) (refAnswer, error) {
	switch d.Protocol {
	case ProtocolAPI:
		return c.refByAPI(ctx, remote, names)
	case ProtocolDumb:
		return c.dumbRefs(ctx, d.at(remote), names)
	case ProtocolV1:
		ad, err := c.advertisement(ctx, d.at(remote), names, c.retries)
		if err == nil && ad.protocol != ProtocolV1 {
			err = fmt.Errorf("%w: it speaks another version of the protocol by now", errRefused)
		}
		return ad.answer, err
	default:
		return c.lsRefs(ctx, d.at(remote), d, names)
	}
}

// isForeign reports whether an error may mean that the server speaks another dialect. A refused
// credential does not: each further try could lock the account.
func (c *Client) isForeign(remote git.Remote, err error) bool {
	var refusal *statusError
	if errors.As(err, &refusal) {
		switch refusal.code {
		case http.StatusUnauthorized:
			return c.creds.For(remote).Token == ""
		case http.StatusConflict, http.StatusBadGateway, http.StatusServiceUnavailable,
			http.StatusGatewayTimeout:
			return false
		}
		return true
	}
	return errors.Is(err, errRefused) || errors.Is(err, errNoForge) ||
		errors.Is(err, ErrInvalidAnswer) && !errors.Is(err, errTooLarge)
}

// discover asks both forms of the URL what the server speaks, and asks in that. tried is the
// dialect that was not understood, with the error.
func (c *Client) discover(
	ctx context.Context, remote git.Remote, tried Dialect, names []string, failed error,
) (refAnswer, Dialect, error) {
	failures := []error{failed}
	for _, d := range []Dialect{{}, {NoSuffix: true}} {
		ad, err := c.advertisement(ctx, d.at(remote), names, 0)
		if err != nil {
			if isFinal(err) || errors.Is(err, ErrUnavailable) || ctx.Err() != nil {
				return refAnswer{}, d, err
			}
			failures = append(failures, err)
			if isFailure(err) {
				break
			}
			continue
		}
		d.Format, d.Protocol = ad.format, ad.protocol
		switch {
		case d.Protocol == ProtocolV1:
			return ad.answer, d, nil
		case d.same(tried):
			return refAnswer{}, d, failed
		}
		answer, err := c.askIn(ctx, remote, d, names)
		return answer, d, err
	}
	return refAnswer{}, tried, tellingOf(failures)
}

// same reports whether two dialects make one request.
func (d Dialect) same(other Dialect) bool {
	if d.Format == git.SHA1 {
		d.Format = ""
	}
	if other.Format == git.SHA1 {
		other.Format = ""
	}
	return d == other
}

// tellingOf returns the failure that says most about the repository, the first of equal ones:
// that of the command, which the server may not have understood, of discovery with ".git", and of
// discovery without it.
func tellingOf(failures []error) error {
	best, most := failures[0], -1
	for i, err := range failures {
		if w := weight(err, i); w > most {
			best, most = err, w
		}
	}
	return best
}

func weight(err error, i int) int {
	var refusal *statusError
	isStatus := errors.As(err, &refusal)
	switch {
	case i == 0 && isFailure(err):
		return 6
	case i == 0 && isStatus: // it says nothing about GET, which all servers understand
		return 0
	case isStatus && refusal.isDenial():
		return 5
	case isFailure(err):
		return 4
	case i == 2: // not the usual form
		return 1
	case isStatus && refusal.isMissing():
		return 2
	}
	return 3
}

// isFailure reports whether the server says that it failed.
func isFailure(err error) bool {
	var refusal *statusError
	return errors.As(err, &refusal) && isTransient(refusal.code)
}
