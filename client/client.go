package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
)

// maxAnswer bounds an answer, in bytes. The list of a server's builds is the longest.
const maxAnswer = 32 << 20

// Client sends requests to one server. It is safe for concurrent use.
type Client struct {
	address string // for error texts
	base    string // URL without a slash at the end
	token   string
	header  func(context.Context, http.Header) // nil for none
	http    *http.Client
	// start starts the server anew if it has ended. nil if another program is responsible for it.
	start func(context.Context) error
}

// Option adjusts a [Client].
type Option func(*Client)

// WithToken sets the token that is sent with each request. Servers on TCP require one.
func WithToken(token string) Option { return func(c *Client) { c.token = token } }

// WithHeader registers add, which is called for each request, to add to its header what is in the
// caller's context, such as that of a trace:
//
//	client.WithHeader(func(ctx context.Context, h http.Header) {
//		propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(h))
//	})
//
// By default nothing is added.
func WithHeader(add func(context.Context, http.Header)) Option {
	return func(c *Client) { c.header = add }
}

// WithTransport sets the transport of requests over http and https, for example with the
// certificates of a private authority. The default is http.DefaultTransport.
func WithTransport(t http.RoundTripper) Option {
	return func(c *Client) {
		if c.address == c.base {
			c.http.Transport = t
		}
	}
}

// New makes a client of the server at unix:///path, http://host:port or https://host[/path]. It
// makes no request.
func New(address string, opts ...Option) (*Client, error) {
	c := &Client{address: address, http: &http.Client{CheckRedirect: refuseRedirect}}
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return nil, fmt.Errorf("address of a server: %w", err)
	case u.Scheme == "unix" && u.Host == "" && filepath.IsAbs(u.Path):
		c.base = "http://pinion"
		c.http.Transport = overSocket(u.Path)
	case (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil &&
		u.RawQuery == "" && u.Fragment == "":
		c.base = strings.TrimSuffix(address, "/")
		c.address = c.base
	default:
		return nil, fmt.Errorf("address of a server: the form is unix:///path, "+
			"http://host:port or https://host, not %q", u.Redacted())
	}
	for _, o := range opts {
		o(c)
	}
	return c, nil
}

// refuseRedirect keeps the token from other servers.
func refuseRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// overSocket connects every request to a unix socket.
func overSocket(path string) http.RoundTripper {
	return &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
}

// Address returns the server's address.
func (c *Client) Address() string { return c.address }

// request is an HTTP request to the server.
type request struct {
	method, path string
	body         any // nil for none
	header       map[string]string
}

// open sends a request. It returns an answer with a status of 2xx, whose body the caller closes.
func (c *Client) open(ctx context.Context, q request) (*http.Response, error) {
	var body io.Reader
	if q.body != nil {
		text, err := json.Marshal(q.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, q.method, c.base+q.path, body)
	if err != nil {
		return nil, err
	}
	if c.header != nil {
		c.header(ctx, r.Header)
	}
	if q.body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	for name, value := range q.header {
		r.Header.Set(name, value)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, c.noAnswer(ctx, err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, c.refusal(resp)
}

// noAnswer is the error of a request without an answer.
func (c *Client) noAnswer(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var at *url.Error // its text repeats the method and the URL
	if errors.As(err, &at) {
		err = at.Err
	}
	return fmt.Errorf("%w at %s: %w", ErrNoServer, c.address, err)
}

// refusal reads the problem document of an answer.
func (c *Client) refusal(resp *http.Response) error {
	e := &Error{Class: ClassGeneral, Status: resp.StatusCode}
	var p Problem
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if kind != "application/problem+json" || decode(resp.Body, &p) != nil {
		e.Message = fmt.Sprintf("%s answers %s without a problem document: it is no server of "+
			"Pinion, or a proxy answers for it", c.address, resp.Status)
		return e
	}
	e.Kind = strings.TrimPrefix(p.Type, problemType)
	e.Message, e.Title, e.Origin, e.ExitCode = p.Detail, p.Title, p.Origin, p.ExitCode
	e.Step, e.Log, e.Checks = p.Step, p.Log, p.Checks
	if p.Class != "" {
		e.Class = p.Class
	}
	return e
}

// ask sends a request and decodes the answer, unless into is nil.
func (c *Client) ask(ctx context.Context, q request, into any) (status int, err error) {
	resp, err := c.open(ctx, q)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if into == nil {
		return resp.StatusCode, nil
	}
	if err := decode(resp.Body, into); err != nil {
		return 0, c.noAnswer(ctx, fmt.Errorf("read the answer to %s %s: %w", q.method, q.path, err))
	}
	return resp.StatusCode, nil
}

// decode reads one JSON value. It ignores members that this version does not know.
func decode(r io.Reader, into any) error {
	text, err := io.ReadAll(io.LimitReader(r, maxAnswer+1))
	if err != nil {
		return err
	}
	if len(text) > maxAnswer {
		return fmt.Errorf("it has more than %d MiB", maxAnswer>>20)
	}
	return json.Unmarshal(text, into)
}
