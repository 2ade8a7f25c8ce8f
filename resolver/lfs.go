package resolver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

const (
	// lfsType is the media type of the LFS batch API (git-lfs, docs/api/batch.md).
	lfsType = "application/vnd.git-lfs+json"
	// maxLFSBatch is the number of objects in one request, as in git-lfs.
	maxLFSBatch = 100
	// maxLFSAnswer leaves 40 KiB for each of them: an address may be signed.
	maxLFSAnswer = 4 << 20
)

// LFSObjects asks the LFS server of a repository, which is at <repository>.git/info/lfs, for
// objects, and returns what opens each of them. Those that the server does not have are left out.
//
// The credential goes to the repository's host alone. An object may be at that host or at those in
// hosts, and is asked for there with what the server says that this takes; a redirect holds to the
// same rules. What is read must be compared with the pointer: no more than its size comes, and
// nothing else is checked.
//
// The error, also of opening and reading, is an *Error around ErrUnauthorized, ErrNotFound if the
// server has no LFS for the repository, ErrRateLimited, ErrUnavailable, ErrInvalidAnswer or the
// context's own error. No text has an object's address, which may be a secret.
func (c *Client) LFSObjects(
	ctx context.Context, remote git.Remote, hosts []string, pointers []git.LFSPointer,
) (git.LFSObjects, error) {
	opens := git.LFSObjects{}
	from := lfsServer{c, remote, hosts}
	for len(pointers) > 0 {
		part := pointers[:min(maxLFSBatch, len(pointers))]
		pointers = pointers[len(part):]
		found, err := from.locate(ctx, part)
		if err != nil {
			return nil, from.fail("ask the LFS server of", err)
		}
		for p, at := range found {
			opens[p] = func(ctx context.Context) (io.ReadCloser, error) {
				body, err := from.open(ctx, p, at)
				if err != nil {
					return nil, from.fail("get an LFS object of", err)
				}
				return &lfsBody{body, from}, nil
			}
		}
	}
	return opens, nil
}

// lfsServer is the LFS server of one repository.
type lfsServer struct {
	*Client
	remote git.Remote
	hosts  []string // besides the remote's, where objects may be
}

func (s lfsServer) fail(op string, err error) error { return s.Client.fail(op, s.remote, err) }

// lfsBody is an object. Its errors are those of LFSObjects.
type lfsBody struct {
	io.ReadCloser
	from lfsServer
}

func (b *lfsBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		if errors.Is(err, errTooLarge) {
			err = fmt.Errorf("%w: the object is larger than its pointer says", ErrInvalidAnswer)
		}
		err = b.from.fail("get an LFS object of", err)
	}
	return n, err
}

// locate makes one request of the batch API.
func (s lfsServer) locate(
	ctx context.Context, pointers []git.LFSPointer,
) (map[git.LFSPointer]lfsAddress, error) {
	ctx, cancel := s.withDeadline(ctx)
	defer cancel()
	asked := map[string]git.LFSPointer{}
	type item struct {
		OID  string `json:"oid"`
		Size int64  `json:"size"`
	}
	var objects []item
	for _, p := range pointers {
		asked[p.OID] = p
		objects = append(objects, item{p.OID, p.Size})
	}
	body, err := json.Marshal(map[string]any{"operation": "download",
		"transfers": []string{"basic"}, "hash_algo": "sha256", "objects": objects})
	if err != nil {
		return nil, err
	}
	resp, err := s.sendRetrying(ctx, s.retries, maxLFSAnswer, func() (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost,
			s.remote.String()+".git/info/lfs/objects/batch", bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		req.Header.Set("Content-Type", lfsType)
		req.Header.Set("Accept", lfsType)
		s.sign(req, s.remote)
		return req, nil
	})
	if err != nil {
		return nil, err
	}
	if resp, err = requireOK(resp, s.remote); err != nil {
		return nil, s.explainLFS(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	if err := requireType(resp, lfsType); err != nil && requireType(resp, jsonType) != nil {
		return nil, err
	}
	answer, err := decodeObject(resp.Body)
	if errors.Is(err, errTooLarge) {
		err = fmt.Errorf("%w: %w", ErrInvalidAnswer, err)
	}
	if err != nil {
		return nil, err
	}
	return s.addresses(answer, asked)
}

// explainLFS explains a refusal. The server has shown the repository before.
func (s lfsServer) explainLFS(ctx context.Context, err error) error {
	if refused, ok := errors.AsType[*statusError](err); ok && refused.isMissing() {
		return fmt.Errorf("%w: the server has no LFS for this repository: %w", ErrNotFound, refused)
	}
	return s.explain(ctx, s.remote, err)
}

// addresses reads an answer of the batch API.
func (s lfsServer) addresses(
	answer object, asked map[string]git.LFSPointer,
) (map[git.LFSPointer]lfsAddress, error) {
	if transfer, ok := answer["transfer"]; ok && transfer != "basic" {
		return nil, fmt.Errorf("%w: an LFS transfer that was not offered", ErrInvalidAnswer)
	}
	list, _ := answer["objects"].([]any)
	found, answered := map[git.LFSPointer]lfsAddress{}, map[string]bool{}
	for _, each := range list {
		o, _ := each.(object)
		oid, err := o.text("oid")
		if err != nil {
			return nil, err
		}
		p, ok := asked[oid]
		if !ok {
			return nil, fmt.Errorf("%w: an LFS object that was not asked for", ErrInvalidAnswer)
		}
		at, err := s.address(o, p)
		if err != nil {
			return nil, err
		}
		if at.url != nil {
			found[p] = at
		}
		answered[oid] = true
	}
	if len(answered) < len(asked) {
		return nil, fmt.Errorf("%w: the LFS server leaves out objects that it was asked for",
			ErrInvalidAnswer)
	}
	return found, nil
}

// address reads one object of an answer. The address of one that the server does not have is zero.
func (s lfsServer) address(o object, p git.LFSPointer) (lfsAddress, error) {
	if failure, ok := o["error"].(object); ok {
		number, _ := failure["code"].(json.Number)
		code, _ := strconv.Atoi(number.String())
		message, _ := failure["message"].(string)
		refused := &statusError{code: code, message: message}
		switch {
		case code == http.StatusNotFound, code == http.StatusGone,
			code == http.StatusUnprocessableEntity:
			return lfsAddress{}, nil
		case refused.isDenial():
			return lfsAddress{}, s.unauthorized(s.remote, refused)
		case code == http.StatusTooManyRequests:
			return lfsAddress{}, &RateLimitError{}
		case code >= http.StatusInternalServerError:
			return lfsAddress{}, fmt.Errorf("%w: %w", errServerUnavailable, refused)
		}
		return lfsAddress{}, fmt.Errorf("%w: %w", ErrInvalidAnswer, refused)
	}
	if size, _ := o["size"].(json.Number); size.String() != strconv.FormatInt(p.Size, 10) {
		return lfsAddress{}, fmt.Errorf("%w: the LFS server has an object in another size than "+
			"its pointer says", ErrInvalidAnswer)
	}
	return s.parseAddress(o)
}
