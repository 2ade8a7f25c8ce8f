package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// startContainer creates and starts a container from an image's ID by the engine's HTTP API
// (https://docs.docker.com/reference/api/engine/), with the standard library alone. The engine is
// that of DOCKER_HOST, on a unix socket.
func startContainer(ctx context.Context, name, image string) error {
	socket, ok := strings.CutPrefix(
		cmp.Or(os.Getenv("DOCKER_HOST"), "unix:///var/run/docker.sock"), "unix://")
	if !ok {
		return fmt.Errorf("DOCKER_HOST is no unix socket")
	}
	engine := &http.Client{Transport: &http.Transport{DialContext: func(
		ctx context.Context, _, _ string,
	) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}}
	post := func(path string, body any) (answer struct{ ID, Message string }, err error) {
		text, err := json.Marshal(body)
		if err != nil {
			return answer, err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://docker"+path,
			bytes.NewReader(text))
		if err != nil {
			return answer, err
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := engine.Do(req)
		if err != nil {
			return answer, err
		}
		defer resp.Body.Close()
		text, err = io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		if err == nil && len(text) > 0 {
			err = json.Unmarshal(text, &answer)
		}
		if err == nil && resp.StatusCode >= http.StatusBadRequest {
			err = fmt.Errorf("the engine answers %s: %s", resp.Status, answer.Message)
		}
		return answer, err
	}
	made, err := post("/containers/create?name="+url.QueryEscape(name),
		map[string]string{"Image": image})
	if err == nil {
		_, err = post("/containers/"+made.ID+"/start", nil)
	}
	if err != nil {
		return fmt.Errorf("start a container: %w", err)
	}
	return nil
}
