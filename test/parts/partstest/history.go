package partstest

import (
	"errors"
	"io"
	"testing"

	controlapi "github.com/moby/buildkit/api/services/control"
	"github.com/moby/buildkit/client"
)

// BuildHistory is what a buildkitd remembers of its builds, one event each.
func BuildHistory(t *testing.T, c *client.Client) (all []*controlapi.BuildHistoryEvent) {
	t.Helper()
	events, err := c.ControlClient().ListenBuildHistory(t.Context(),
		&controlapi.BuildHistoryRequest{EarlyExit: true})
	if err != nil {
		t.Fatal(err)
	}
	for {
		event, err := events.Recv()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, event)
	}
}
