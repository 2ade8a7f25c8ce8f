package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
)

func TestLookups(t *testing.T) {
	s := newStage(t)
	for _, name := range []string{"there", "made", "away", "leaks", "unknown"} {
		s.ask(t, http.MethodPost, "/v1/images/"+name, "")
	}
	text := s.ask(t, http.MethodGet, "/metrics", "").text
	for result, n := range map[string]int{"hit": 1, "miss": 1, "failed": 2} {
		line := fmt.Sprintf("pinion_lookups_total{result=%q} %d\n", result, n)
		if !strings.Contains(text, line) {
			t.Errorf("there is no line %s in\n%s", line, text)
		}
	}
}

// TestTheCallersTrace is that of the call, if the header is right.
func TestTheCallersTrace(t *testing.T) {
	const header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	s := newStage(t)
	for i, text := range []string{"", header, "00-x", strings.Repeat("0", 8000)} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
			s.url+"/v1/images/there", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Traceparent", text)
		resp, err := http.DefaultClient.Do(r)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatal(resp, err)
		}
		resp.Body.Close()
		s.backend.mu.Lock()
		of := s.backend.traces[i]
		s.backend.mu.Unlock()
		if of.IsValid() != (text == header) ||
			of.IsValid() && of.SpanID().String() != "00f067aa0ba902b7" {
			t.Errorf("%q: %v", text, of)
		}
	}
}

// TestSizesAreMeasuredSeldom, and no scrape waits for that.
func TestSizesAreMeasuredSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var z sizes
		var surveys atomic.Int32
		measure := func(context.Context) (pinion.DiskUsage, error) {
			time.Sleep(20 * time.Second)
			if surveys.Add(1) == 2 {
				return pinion.DiskUsage{}, errors.New("the engine is away")
			}
			return pinion.DiskUsage{Size: int64(surveys.Load())}, nil
		}
		var seen []int64
		for range 60 { // scrapes in a quarter of an hour
			begun := time.Now()
			u := z.get(t.Context(), measure)
			if time.Since(begun) > 0 {
				t.Error("a scrape waits")
			}
			size := int64(0)
			if u != nil {
				size = u.Size
			}
			if len(seen) == 0 || seen[len(seen)-1] != size {
				seen = append(seen, size)
			}
			time.Sleep(15 * time.Second)
		}
		synctest.Wait()
		if fmt.Sprint(seen) != "[0 1 0 3]" || surveys.Load() != 3 {
			t.Errorf("%d surveys, seen %v", surveys.Load(), seen)
		}
	})
}
