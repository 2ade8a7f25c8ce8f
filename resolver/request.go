package resolver

import (
	"bytes"
	"cmp"
	"context"
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

// lsRefs makes the request. An answer that isn't a list of refs is an error: a
// statusError, or what readRefs says.
func (c *Client) lsRefs(
	ctx context.Context, remote git.Remote, d Dialect, names []string,
) (refAnswer, error) {
	format := cmp.Or(d.Format, git.SHA1)
	body := lsRefsRequest(format, d.Protocol, names)
	resp, err := c.postCommand(ctx, remote, d.Protocol, body, maxBody)
	if err != nil {
		return refAnswer{}, err
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	if err := requireType(resp, resultType); err != nil {
		return refAnswer{}, err
	}
	return readRefs(resp.Body, format, names)
}

// postCommand sends a command to git-upload-pack, and returns an answer with status 200 of which
// at most limit bytes can be read.
func (c *Client) postCommand(
	ctx context.Context, remote git.Remote, protocol Protocol, body []byte, limit int64,
) (*http.Response, error) {
	resp, err := c.sendRetrying(ctx, c.retries, limit, func() (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, remote.GitURL()+uploadPackPath,
			bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		req.Header.Set("Content-Type", requestType)
		req.Header.Set("Accept", resultType)
		if protocol != ProtocolV1 {
			req.Header.Set("Git-Protocol", "version=2")
		}
		c.sign(req, remote)
		return req, nil
	})
	if err != nil {
		return nil, err
	}
	return requireOK(resp, remote)
}

// requireOK returns an answer with status 200 as it is. Of another one it returns the refusal.
func requireOK(resp *http.Response, remote git.Remote) (*http.Response, error) {
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	return nil, refusalOf(resp, remote)
}

// sign adds the credential for the remote's host, in the form that BuildKit
// sends it in too. The request must be for that host. Some servers tell git from
// a browser by the user agent, so it begins as git's does.
func (c *Client) sign(req *http.Request, remote git.Remote) {
	req.Header.Set("User-Agent", c.userAgent)
	if cred := c.creds.For(remote); cred.Token != "" {
		req.SetBasicAuth(cmp.Or(cred.User, tokenUser), cred.Token)
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
