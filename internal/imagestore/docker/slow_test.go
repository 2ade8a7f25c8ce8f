package docker

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moby/moby/client"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// slowEngine takes its time for each answer.
type slowEngine struct {
	takes  time.Duration
	answer string
}

func (s slowEngine) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-time.After(s.takes):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	return &http.Response{StatusCode: http.StatusOK, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}},
		Body:   io.NopCloser(strings.NewReader(s.answer))}, nil
}

// TestSlowAnswers: an engine may take minutes to remove an image with its layers and to list all
// images, and half a minute for what it can answer at once.
func TestSlowAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		within time.Duration
		do     func(context.Context, *Engine) error
	}{
		"untag": {"[]", workWithin, func(ctx context.Context, e *Engine) error {
			return e.Untag(ctx, "molecule-local/x:1")
		}},
		"list": {"[]", workWithin, func(ctx context.Context, e *Engine) error {
			_, err := e.List(ctx, "label")
			return err
		}},
		"list of all": {"[]", workWithin, func(ctx context.Context, e *Engine) error {
			_, err := e.listAll(ctx)
			return err
		}},
		"inspect": {"{}", answerWithin, func(ctx context.Context, e *Engine) error {
			_, err := e.Inspect(ctx, "molecule-local/x:1")
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, slower := range []time.Duration{-time.Second, time.Second} {
					api, err := client.New(client.WithAPIVersion("1.47"),
						client.WithHTTPClient(&http.Client{Transport: slowEngine{c.within + slower,
							c.answer}}))
					if err != nil {
						t.Fatal(err)
					}
					err = c.do(t.Context(), &Engine{api: api, endpoint: "unix:///fake.sock"})
					if errors.Is(err, imagestore.ErrUnavailable) != (slower > 0) ||
						(err != nil) != (slower > 0) {
						t.Errorf("after %s: error is %v", c.within+slower, err)
					}
				}
			})
		})
	}
}
