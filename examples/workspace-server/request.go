package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
)

// maxRequest bounds a request's body, in bytes.
const maxRequest = 16 << 10

// request is the body of POST /workspaces.
type request struct {
	// Runtime is the name of a template in Pinion's catalogue.
	Runtime string `json:"runtime"`
	// WorkspaceID becomes part of the container's name. If it is empty, a new one is created.
	WorkspaceID   string `json:"workspace_id"`
	Tier          int    `json:"tier"`
	ParentID      string `json:"parent_id"`
	ModelProvider string `json:"model_provider"`
}

var plain = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

func readRequest(w http.ResponseWriter, r *http.Request) (req request, err error) {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&req); err != nil {
		return req, fmt.Errorf("the body is not a workspace: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return req, errors.New("there is data after the workspace")
	}
	if req.WorkspaceID == "" {
		req.WorkspaceID = strings.ToLower(rand.Text())
	}
	for field, value := range map[string]string{
		"runtime": req.Runtime, "workspace_id": req.WorkspaceID, "parent_id": req.ParentID,
		"model_provider": req.ModelProvider,
	} {
		optional := field == "parent_id" || field == "model_provider"
		if !plain.MatchString(value) && (value != "" || !optional) {
			return req,
				fmt.Errorf("%s: use 1 to 64 letters, digits, dots, dashes and underscores, the "+
					"first a letter or digit", field)
		}
	}
	if req.Tier < 0 || req.Tier > 100 {
		return req, errors.New("tier: use 0 to 100")
	}
	return req, nil
}
