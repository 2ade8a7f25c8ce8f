// Package remote reads the builds of a `pinion serve` over HTTP, and acts on them.
//
// It guarantees that the token goes to the named address alone: no redirect is followed, and
// without TLS no proxy is used. Without TLS it goes to this machine alone, unless the caller allows
// others. The interface is that of /openapi.yaml.
package remote

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/history"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// Server is a server at an address.
type Server struct {
	base   string
	shown  string
	token  string
	client *http.Client
	// transport is that of the client.
	transport *http.Transport
}

// patience bounds the wait for the beginning of a response.
const patience = 30 * time.Second

// page is how many builds are asked for at once, the most that a server gives.
const page = 1000

// New returns the server at an address, unix:///path, http://host:port or https://host. The token
// may be empty. With one, http to another machine is refused unless it is allowed.
func New(address, token string, allowHTTP bool) (*Server, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{ResponseHeaderTimeout: patience}
	s := &Server{shown: address, token: token, base: "http://pinion"}
	switch {
	case u.User != nil:
		return nil, fmt.Errorf("the address of a server has no credentials in it")
	case u.Scheme == "http" && token != "" && !allowHTTP && !git.IsLoopback(u.Hostname()):
		return nil, fmt.Errorf("%s would get the token in clear text; use https, or --allow-http "+
			"if nobody can listen in between", address)
	case u.Scheme == "unix" && u.Host == "" && u.Path != "":
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", u.Path)
		}
	case (u.Scheme == "http" || u.Scheme == "https") && u.Host != "":
		if u.Scheme == "https" {
			transport.Proxy = http.ProxyFromEnvironment
		}
		s.base = strings.TrimSuffix(address, "/")
	default:
		return nil, fmt.Errorf("%q: use unix:///path, http://host:port or https://host", address)
	}
	s.transport = transport
	s.client = &http.Client{Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}}
	return s, nil
}

// List returns builds, the newest first.
func (s *Server) List(ctx context.Context, f history.Filter) (list []history.Build, err error) {
	q := url.Values{}
	if len(f.Names) > 0 {
		q.Set("name", strings.Join(f.Names, ","))
	}
	if len(f.Kinds) > 0 {
		q.Set("kind", strings.Join(f.Kinds, ","))
	}
	if !f.Since.IsZero() {
		q.Set("since", f.Since.Format(time.RFC3339Nano))
	}
	limit := page
	if f.Limit > 0 {
		limit = min(f.Limit, page)
	}
	q.Set("limit", strconv.Itoa(limit))
	seen := map[string]bool{} // what runs is on each page
	for before := f.Before; ; {
		if !before.IsZero() {
			q.Set("before", before.Format(time.RFC3339Nano))
		}
		var got struct{ Builds []history.Build }
		if err := s.ask(ctx, http.MethodGet, "/v1/builds?"+q.Encode(), &got); err != nil {
			return nil, err
		}
		for _, b := range got.Builds {
			if !b.IsRunning() {
				before = b.Started
			}
			if seen[b.ID] {
				continue
			}
			seen[b.ID] = true
			list = append(list, b)
			if f.Limit > 0 && len(list) == f.Limit {
				return list, nil
			}
		}
		if len(got.Builds) < limit {
			return list, nil
		}
	}
}

// Find returns the build whose ID begins with the text.
func (s *Server) Find(ctx context.Context, prefix string) (found history.Build, err error) {
	list, err := s.List(ctx, history.Filter{})
	if err != nil {
		return found, err
	}
	err = history.ErrNotFound
	for _, b := range list {
		switch {
		case !strings.HasPrefix(b.ID, prefix):
		case err == nil:
			return found, history.ErrAmbiguous
		default:
			found, err = b, nil
		}
	}
	return found, err
}

// pause is how long a stream of a build that runs may be silent before it is taken for what there
// is so far.
const pause = time.Second

// Events yields the events of a build, by its whole ID, until it ends. Without follow it yields
// what there is so far.
func (s *Server) Events(
	ctx context.Context, id string, follow bool,
) iter.Seq2[pinion.Event, error] {
	return func(yield func(pinion.Event, error) bool) {
		b, err := s.build(ctx, id)
		if err != nil {
			yield(pinion.Event{}, err)
			return
		}
		streaming, cancel := context.WithCancel(ctx)
		defer cancel()
		seen := func() {}
		if b.IsRunning() && !follow {
			silence := time.AfterFunc(patience, cancel)
			defer silence.Stop()
			seen = func() { silence.Reset(pause) }
		}
		more := true
		err = s.stream(streaming, id, func(e pinion.Event) bool {
			seen()
			more = yield(e, nil)
			return more
		})
		if !more || streaming.Err() != nil && ctx.Err() == nil {
			return
		}
		if err == nil && b.IsRunning() {
			// A proxy or the end of the server may have cut the stream off.
			if b, err = s.build(ctx, id); err == nil && b.IsRunning() {
				err = s.unreachable(io.ErrUnexpectedEOF)
			}
		}
		if err != nil {
			yield(pinion.Event{}, err)
		}
	}
}

// build returns the state of a build.
func (s *Server) build(ctx context.Context, id string) (b history.Build, err error) {
	return b, s.ask(ctx, http.MethodGet, "/v1/builds/"+url.PathEscape(id), &b)
}

// stream calls f for each event of a build until f returns false or the stream ends.
func (s *Server) stream(ctx context.Context, id string, f func(pinion.Event) bool) error {
	resp, err := s.open(ctx, http.MethodGet, "/v1/builds/"+url.PathEscape(id)+"/events")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(make([]byte, 0, 64<<10), 16<<20)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		var e pinion.Event
		if ok && json.Unmarshal([]byte(data), &e) == nil && !f(e) {
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		return s.unreachable(err)
	}
	return nil
}

// Cancel stops a build, as an operator.
func (s *Server) Cancel(ctx context.Context, b history.Build) error {
	return s.ask(ctx, http.MethodPost, "/v1/builds/"+url.PathEscape(b.ID)+"/cancel", nil)
}

// Retry asks again for what a build was asked for. It returns the build that runs, or one with the
// image that is there.
func (s *Server) Retry(ctx context.Context, b history.Build) (history.Build, error) {
	var got struct {
		Build *history.Build `json:"build"`
		pinion.Image
	}
	err := s.ask(ctx, http.MethodPost, "/v1/builds/"+url.PathEscape(b.ID)+"/retry", &got)
	if err != nil || got.Build != nil {
		return deref(got.Build), err
	}
	return history.Build{BuildStatus: pinion.BuildStatus{Name: got.Name, State: pinion.BuildDone,
		Reference: got.Reference, Image: &got.Image}}, nil
}

func deref(b *history.Build) history.Build {
	if b == nil {
		return history.Build{}
	}
	return *b
}

// Ping returns an error unless the server answers and takes the token.
func (s *Server) Ping(ctx context.Context) error {
	return s.ask(ctx, http.MethodGet, "/v1/templates", nil)
}

// Proxy passes requests on to the server, with the token and without what the caller has to show.
func (s *Server) Proxy() *httputil.ReverseProxy {
	transport := s.transport.Clone()
	transport.ResponseHeaderTimeout = 0 // a prune takes its time
	return &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			to, err := url.Parse(s.base)
			if err != nil {
				panic(err) // New has parsed it
			}
			r.SetURL(to)
			for _, name := range []string{"Accept-Encoding", "Authorization", "Cookie", "Origin",
				"Pinion-Form", "Sec-Fetch-Site"} {
				r.Out.Header.Del(name)
			}
			if s.token != "" {
				r.Out.Header.Set("Authorization", "Bearer "+s.token)
			}
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusBadGateway)
			_ = json.NewEncoder(w).Encode(map[string]any{ // the caller may have left
				"title": "The server does not answer", "status": http.StatusBadGateway,
				"detail": s.unreachable(err).Error(), "type": "about:blank"})
		},
	}
}

// ask makes a request and decodes the response, unless into is nil.
func (s *Server) ask(ctx context.Context, method, path string, into any) error {
	resp, err := s.open(ctx, method, path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 256<<20)).Decode(into); err != nil {
		return s.unreachable(err)
	}
	return nil
}

// open makes a request and returns a response that is no problem.
func (s *Server) open(ctx context.Context, method, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.base+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	if s.token != "" {
		req.Header.Set("Authorization", "Bearer "+s.token)
	}
	req.Header.Set("User-Agent", "pinion")
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, s.unreachable(err)
	}
	if resp.StatusCode < http.StatusMultipleChoices {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, s.refusal(resp)
}

func (s *Server) unreachable(err error) error {
	return fmt.Errorf("%w: the server at %s: %w", pinion.ErrUnavailable, s.shown, err)
}

// refusal returns the problem that a response describes, with the class of its status.
func (s *Server) refusal(resp *http.Response) error {
	var p struct{ Title, Detail string }
	_ = json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&p) // not of Pinion otherwise
	kind := pinion.ErrUnavailable
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		kind = pinion.ErrUnauthorized
	case http.StatusNotFound:
		kind = pinion.ErrNotFound
	case http.StatusBadRequest, http.StatusConflict:
		kind = pinion.ErrInvalidInput
	}
	if p.Title == "" {
		return fmt.Errorf("%w: the server at %s answers %s", kind, s.shown, resp.Status)
	}
	return fmt.Errorf("%w: the server at %s: %s: %s", kind, s.shown, p.Title, p.Detail)
}
