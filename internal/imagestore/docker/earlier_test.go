package docker_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
)

// TestEarlierImagesThatAreAskedFor: before a load the engine is asked for images that share a
// layer, a few at a time, and for no more than it takes.
func TestEarlierImagesThatAreAskedFor(t *testing.T) {
	l := storetest.NewLayered(t, "base", "top")
	for name, c := range map[string]struct {
		shares   bool // a layer with the image
		requests int
	}{"of other templates": {false, 0}, "gone": {true, 64}} {
		t.Run(name, func(t *testing.T) {
			r, fake := newFakeReceiver(t, imagestore.KindContainerd, "1.47") // it does not pull
			crowd := &crowd{together: 8}
			var sets []imagestore.LayerSet
			for i := range 300 {
				id := fmt.Sprintf("sha256:%064x", i)
				set := imagestore.LayerSet{ImageID: id, Layers: []string{id}}
				if c.shares {
					set.Layers = append(set.Layers, l.Digests[0])
				}
				sets = append(sets, set)
				fake.Handle("GET /images/"+id+"/json", crowd.gone)
			}
			transfer := l.Transfer(ref)
			transfer.Earlier = func() []imagestore.LayerSet { return sets }
			got, err := r.Receive(t.Context(), transfer)
			if err != nil || got.LayersSent != 2 || crowd.all != c.requests {
				t.Errorf("%d requests, %+v, %v", crowd.all, got, err)
			}
		})
	}
}

// TestEarlierImageFirst: an image that has all layers ends the questions.
func TestEarlierImageFirst(t *testing.T) {
	r, fake := newFakeReceiver(t, imagestore.KindContainerd, "1.47")
	l := storetest.NewLayered(t, "base", "middle")
	r.receive(t, "molecule-local/x:1", l)
	sets := []imagestore.LayerSet{{ImageID: l.Descriptor.Digest.String(), Layers: l.Digests}}
	for i := range 100 {
		sets = append(sets, imagestore.LayerSet{ImageID: fmt.Sprintf("sha256:%064x", i),
			Layers: l.Digests[:1]})
	}
	top := storetest.NewLayered(t, "base", "middle", "top")
	transfer := top.Transfer(ref)
	transfer.Earlier = func() []imagestore.LayerSet { return sets }
	before := len(fake.Requests())
	got, err := r.Receive(t.Context(), transfer)
	if err != nil || got.LayersSent != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	asked := slices.DeleteFunc(fake.Requests()[before:], func(request string) bool {
		return !strings.HasPrefix(request, "GET /images/sha256:0000")
	})
	if len(asked) > 8 {
		t.Errorf("asked for %d images more", len(asked))
	}
}

// crowd answers requests that arrive together.
type crowd struct {
	together int
	mu       sync.Mutex
	all      int
	waiting  []chan struct{}
}

// gone answers once as many requests wait as are made at a time.
func (c *crowd) gone(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.all++
	full := make(chan struct{})
	if c.waiting = append(c.waiting, full); len(c.waiting) == c.together {
		for _, one := range c.waiting {
			close(one)
		}
		c.waiting = nil
	}
	c.mu.Unlock()
	select {
	case <-full:
	case <-r.Context().Done():
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusNotFound)
	_, _ = io.WriteString(w, `{"message":"No such image"}`)
}
