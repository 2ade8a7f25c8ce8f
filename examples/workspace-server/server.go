package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"time"

	"github.com/moby/moby/client"

	"git.moleculesai.app/molecule-ai/pinion"
)

// writeWithin limits the time for which a client may block a line.
const writeWithin = 30 * time.Second

type server struct {
	images *pinion.Orchestrator
	// engine holds the images.
	engine                  *client.Client
	deadline                time.Duration
	platformURL, configPath string
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /workspaces", s.create)
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	return mux
}

// create answers with one JSON object a line: Pinion's events, and then a started or a failed. An
// error before the first event has an HTTP status of its own.
func (s *server) create(w http.ResponseWriter, r *http.Request) {
	// A web page of another origin cannot send this type without a preflight request.
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		problem(w, http.StatusUnsupportedMediaType, "send application/json")
		return
	}
	req, err := readRequest(w, r)
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.deadline)
	defer cancel()
	// Requests for one runtime share a build. Wait ends the share of this request.
	call, err := s.images.Start(ctx, req.Runtime)
	if err != nil {
		problem(w, statusOf(err), s.images.Redact(err.Error()))
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := lines{w, http.NewResponseController(w)}
	for e := range call.Build().Events(ctx, 0) {
		if out.write(e) != nil {
			cancel() // the client is gone
		}
	}
	img, err := call.Wait(ctx)
	if err == nil {
		err = s.start(ctx, req, img, out)
	} else if ctx.Err() == nil {
		return // the last event reported the error
	}
	if err != nil {
		slog.Warn("no workspace", "id", req.WorkspaceID, "runtime", req.Runtime, "error",
			s.images.Redact(err.Error()))
		_ = out.write(failed{"failed", s.images.Redact(err.Error())})
	}
}

type started struct {
	Type        string `json:"type"`
	WorkspaceID string `json:"workspace_id"`
	ContainerID string `json:"container_id"`
	ImageID     string `json:"image_id"`
}

type failed struct {
	Type  string `json:"type"`
	Error string `json:"error"`
}

// start creates and starts the container.
func (s *server) start(ctx context.Context, req request, img pinion.Image, out lines) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// From here on, a cancelled request does not leave a container that is created but not started.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	made, err := s.engine.ContainerCreate(ctx, s.spec(req, img.ID))
	if err != nil {
		return fmt.Errorf("create the container: %w", err)
	}
	if _, err := s.engine.ContainerStart(ctx, made.ID, client.ContainerStartOptions{}); err != nil {
		s.remove(ctx, made.ID)
		return fmt.Errorf("start the container: %w", err)
	}
	slog.Info("workspace started", "id", req.WorkspaceID, "runtime", req.Runtime, "container",
		made.ID, "image", img.ID)
	_ = out.write(started{"started", req.WorkspaceID, made.ID, img.ID})
	return nil
}

// remove has its own timeout, because the start may have failed by its timeout.
func (s *server) remove(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if _, err := s.engine.ContainerRemove(ctx, id,
		client.ContainerRemoveOptions{Force: true}); err != nil {
		slog.Warn("a container that did not start is left", "container", id, "error", err)
	}
}

// statusOf returns the HTTP status for an error of Pinion.
func statusOf(err error) int {
	switch pinion.ClassOf(err) {
	case pinion.ClassUsage:
		return http.StatusBadRequest
	case pinion.ClassNotFound:
		return http.StatusNotFound
	case pinion.ClassUnauthorized, pinion.ClassUnreachable:
		return http.StatusBadGateway
	default:
		return http.StatusServiceUnavailable
	}
}

func problem(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(failed{"failed", text})
}

// lines sends each object at once.
type lines struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (l lines) write(v any) error {
	if err := l.control.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
		return err
	}
	if err := json.NewEncoder(l.w).Encode(v); err != nil {
		return err
	}
	return l.control.Flush()
}
