package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// imageRequest is the body of a request for an image.
type imageRequest struct {
	Revision    string `json:"revision"`
	AnyRevision bool   `json:"any_revision"`
	Pull        bool   `json:"pull"`
	NoCache     bool   `json:"no_cache"`
	PullRequest int    `json:"pull_request"`
}

// readImageRequest accepts an empty body, or one object without unknown members.
func readImageRequest(r *http.Request) (req imageRequest, p *problem) {
	if p := readObject(r, &req); p != nil {
		return req, p
	}
	if req.AnyRevision && req.Revision == "" {
		return req, badRequest("any_revision requires revision")
	}
	if req.AnyRevision && req.PullRequest != 0 {
		return req, badRequest("any_revision excludes pull_request")
	}
	return req, nil
}

// isHead reports whether the request is for the head of the branch or of a pull request.
func (q imageRequest) isHead() bool { return q.Revision == "" || q.PullRequest != 0 }

// readObject reads a body of one object without unknown members. An empty body changes nothing.
func readObject(r *http.Request, into any) *problem {
	text, err := io.ReadAll(r.Body)
	if err != nil || len(text) == 0 {
		return nil // bufferBody has read it, so there is no error
	}
	if contentType(r) != typeJSON {
		return refusal(http.StatusUnsupportedMediaType, "unsupported-media-type",
			"The body is not JSON", "send it as "+typeJSON)
	}
	if err := decodeStrict(text, into); err != nil {
		return badRequest("the body: " + err.Error())
	}
	return nil
}

func (q imageRequest) options() (opts []pinion.EnsureOption, p *problem) {
	if q.Revision != "" {
		rev, err := git.ParseRevision(q.Revision)
		if err != nil {
			return nil, badRequest("revision: " + err.Error())
		}
		opts = append(opts, pinion.AtRevision(rev, q.AnyRevision))
	}
	if q.PullRequest != 0 {
		if _, err := git.PullRequest(q.PullRequest); err != nil {
			return nil, badRequest(err.Error())
		}
		opts = append(opts, pinion.AtPullRequest(q.PullRequest))
	}
	if q.Pull {
		opts = append(opts, pinion.Pull())
	}
	if q.NoCache {
		opts = append(opts, pinion.NoCache())
	}
	return opts, nil
}

// decodeStrict decodes one value. It refuses unknown members and trailing data.
func decodeStrict(text []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("unexpected data after the object")
	}
	return nil
}
