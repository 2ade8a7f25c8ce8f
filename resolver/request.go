package resolver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// Media types of Git's smart protocol over HTTP (gitprotocol-http).
const (
	requestType = "application/x-git-upload-pack-request"
	resultType  = "application/x-git-upload-pack-result"
)

// askRefs asks for the first of the named refs that exists. A repository that
// refuses the object format is asked once more with the other one, and the one
// that worked is remembered. (No message is matched for that: git has no code
// for it, and over HTTP often sends nothing but the end of the answer.)
func (c *Client) askRefs(
	ctx context.Context, remote git.Remote, hint git.ObjectFormat, names ...string,
) (refAnswer, error) {
	format := c.formatOf(remote, hint)
	answer, err := c.lsRefs(ctx, remote, format, names)
	if errors.Is(err, errRefused) {
		other := otherFormat(format)
		second, secondErr := c.lsRefs(ctx, remote, other, names)
		if errors.Is(secondErr, errRefused) {
			return refAnswer{},
				fmt.Errorf("%w: %w: it may not speak git's protocol version 2 (git 2.18 and "+
					"later do)", ErrInvalidAnswer, err)
		}
		answer, format, err = second, other, secondErr
	}
	if err == nil {
		c.formats.Store(remote, format)
	}
	return answer, err
}

func (c *Client) formatOf(remote git.Remote, hint git.ObjectFormat) git.ObjectFormat {
	if known, ok := c.formats.Load(remote); ok {
		return known.(git.ObjectFormat) // only askRefs stores
	}
	if hint == git.SHA256 {
		return git.SHA256
	}
	return git.SHA1
}

func otherFormat(format git.ObjectFormat) git.ObjectFormat {
	if format == git.SHA1 {
		return git.SHA256
	}
	return git.SHA1
}

// lsRefs makes the request. An answer that isn't a list of refs is an error: a
// statusError, or what readRefs says.
func (c *Client) lsRefs(
	ctx context.Context, remote git.Remote, format git.ObjectFormat, names []string,
) (refAnswer, error) {
	body := lsRefsRequest(format, names)
	resp, err := c.sendRetrying(ctx, func() (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, remote.GitURL()+uploadPackPath,
			bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		req.Header.Set("Content-Type", requestType)
		req.Header.Set("Accept", resultType)
		req.Header.Set("Git-Protocol", "version=2")
		c.sign(req, remote)
		return req, nil
	})
	if err != nil {
		return refAnswer{}, err
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	if resp.StatusCode != http.StatusOK {
		return refAnswer{}, refusalOf(resp, remote)
	}
	if err := requireType(resp, resultType); err != nil {
		return refAnswer{}, err
	}
	return readRefs(resp.Body, format, names)
}

// sign adds the credential for the remote's host, in the form that BuildKit
// sends it in too. The request must be for that host.
func (c *Client) sign(req *http.Request, remote git.Remote) {
	req.Header.Set("User-Agent", c.userAgent)
	if token := c.creds.For(remote); token != "" {
		req.SetBasicAuth("x-access-token", token)
	}
}

// requireType refuses an answer of another media type, such as the login page
// of a proxy, and one in an encoding that the transport didn't decode.
func requireType(resp *http.Response, want string) error {
	got, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || got != want {
		return fmt.Errorf("%w: the content type is %s instead of %s: check that the URL is a git "+
			"repository's and that no login page stands before it",
			ErrInvalidAnswer, quoteAnswer(resp.Header.Get("Content-Type")), want)
	}
	if encoding := resp.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return fmt.Errorf("%w: content encoding %s", ErrInvalidAnswer, quoteAnswer(encoding))
	}
	return nil
}
