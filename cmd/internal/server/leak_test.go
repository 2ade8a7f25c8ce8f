package server

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"
)

// TestNothingIsLeftAfterAThousandRequests of all kinds: no goroutine, file descriptor or slot
// leaks.
func TestNothingIsLeftAfterAThousandRequests(t *testing.T) {
	s := newStage(t)
	one := func(i int) {
		name := fmt.Sprintf("made%d", i)
		switch i % 5 {
		case 0:
			s.ask(t, http.MethodPost, "/v1/images/there?wait=true", "{}")
		case 1:
			got := decode[acceptance](t, s.ask(t, http.MethodPost, "/v1/images/"+name, ""))
			s.ask(t, http.MethodDelete, "/v1/builds/"+got.Build.ID, "",
				"Pinion-Interest", got.Interest)
		case 2:
			ctx, leave := context.WithTimeout(t.Context(), 5*time.Millisecond)
			defer leave()
			_, _ = s.try(ctx, http.MethodPost, "/v1/images/"+name+"?wait=true", "")
		case 3:
			got := decode[acceptance](t, s.ask(t, http.MethodPost, "/v1/images/"+name, ""))
			ctx, leave := context.WithTimeout(t.Context(), 5*time.Millisecond)
			defer leave()
			_, _ = s.try(ctx, http.MethodGet, "/v1/builds/"+got.Build.ID+"/events", "")
			s.backend.build(name).finish()
		case 4:
			s.ask(t, http.MethodPost, "/v1/images/unknown", `{"bad":1}`)
		}
	}
	many := func(n int) (goroutines, fds int) {
		var all sync.WaitGroup
		for lane := range 10 {
			all.Go(func() {
				for i := lane; i < n; i += 10 {
					one(i)
				}
			})
		}
		all.Wait()
		eventually(t, "all slots free", func() bool {
			return len(s.interests)+len(s.streams) == 0 && s.metrics.inFlight.Load() == 0
		})
		http.DefaultClient.CloseIdleConnections()
		return runtime.NumGoroutine(), openFiles(t)
	}
	many(20)
	before := runtime.NumGoroutine()
	files := openFiles(t)
	many(1000)
	eventually(t, "no more goroutines and files than before", func() bool {
		http.DefaultClient.CloseIdleConnections()
		return runtime.NumGoroutine() <= before+2 && openFiles(t) <= files+2
	})
}

// openFiles counts this process's file descriptors, on systems with /proc.
func openFiles(t *testing.T) int {
	t.Helper()
	found, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}
