package docker

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moby/moby/client"
)

// TestFault63_SilentLoadIsNotEnded: an engine that takes an hour for each block of an archive, and
// another for its answer, is waited for.
func TestFault63_SilentLoadIsNotEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var taken int64
		engine := engineOf(t, func(r *http.Request) {
			block := make([]byte, 1024)
			for {
				n, err := io.ReadFull(r.Body, block)
				taken += int64(n)
				time.Sleep(time.Hour)
				if err != nil {
					return
				}
			}
		})
		const size = 24 * 1024
		if err := engine.Load(t.Context(), bytes.NewReader(make([]byte, size)), ""); err != nil {
			t.Error(err)
		}
		if taken != size {
			t.Errorf("the engine got %d bytes of %d", taken, size)
		}
	})
}

// engineOf is an engine without a network, so that its time can be fake; it answers everything with
// 200.
func engineOf(t *testing.T, serve func(*http.Request)) *Engine {
	t.Helper()
	api, err := client.New(client.WithHTTPClient(&http.Client{Transport: roundTripper(serve)}),
		client.WithAPIVersion("1.47"))
	if err != nil {
		t.Fatal(err)
	}
	return &Engine{api: api, endpoint: "unix:///fake.sock"}
}

type roundTripper func(*http.Request)

func (serve roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	serve(r)
	return &http.Response{StatusCode: http.StatusOK,
			Header: http.Header{"Content-Type": {"application/json"}}, Body: http.NoBody,
			Request: r},
		nil
}
