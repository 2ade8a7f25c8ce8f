package client

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// maxEvent bounds a line of an event stream, in bytes.
	maxEvent = 4 << 20
	// maxSilence is the time after which a stream is taken for broken. The server sends a comment
	// every 15 seconds.
	maxSilence = time.Minute
)

// Events passes on the past and future events of a build, those after the number `after`. It
// returns nil after done or failed, or if there are no more.
func (c *Client) Events(ctx context.Context, id string, after int64, onEvent func(Event)) error {
	end, err := c.stream(ctx, id, after, onEvent)
	if end != nil {
		return nil
	}
	return err
}

// stream reads an event stream. It returns the last event of the build, or nil if the stream ended
// before.
func (c *Client) stream(
	ctx context.Context, id string, after int64, onEvent func(Event),
) (*Event, error) {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	resp, err := c.open(reading, request{method: http.MethodGet, path: buildPath(id) + "/events",
		header: map[string]string{"Last-Event-ID": strconv.FormatInt(after, 10)}})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	silence := time.AfterFunc(maxSilence, stop)
	defer silence.Stop()
	var end *Event
	err = readEvents(resp.Body, func() { silence.Reset(maxSilence) }, func(e Event) bool {
		if e.Type == EventDone || e.Type == EventFailed {
			end = &e
		}
		onEvent(e)
		return end == nil
	})
	if end == nil && err != nil {
		return nil, c.noAnswer(ctx, err)
	}
	return end, nil
}

// readEvents calls each for every event until it returns false. It calls alive for every line. The
// server writes an event's data in one line.
func readEvents(r io.Reader, alive func(), each func(Event) bool) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxEvent)
	for lines.Scan() {
		alive()
		data, ok := strings.CutPrefix(lines.Text(), "data:")
		if !ok {
			continue // a comment, or a field that the data repeats
		}
		var e Event
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			return fmt.Errorf("read an event: %w", err)
		}
		if !each(e) {
			return nil
		}
	}
	return lines.Err()
}
