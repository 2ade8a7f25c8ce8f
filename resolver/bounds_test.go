package resolver

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// manyRefs writes refs without end, until the client has had enough.
func manyRefs(w io.Writer) {
	for i := 0; ; i++ {
		if _, err := io.WriteString(w,
			pkt(fmt.Sprintf("%s refs/heads/main-%d", shaB, i))); err != nil {
			return
		}
	}
}

func TestFault13_HugeBody(t *testing.T) {
	t.Run("refs without end", func(t *testing.T) {
		s := newServer(t,
			map[string]http.HandlerFunc{packPath: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", resultType)
				manyRefs(w)
			}})
		_, err := s.client().Head(t.Context(), s.remote(t), mustBranch(t, "main"), Dialect{})
		if !errors.Is(err, ErrInvalidAnswer) || !errors.Is(err, errTooLarge) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the exact ref first", func(t *testing.T) {
		s := newServer(t,
			map[string]http.HandlerFunc{packPath: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", resultType)
				_, _ = io.WriteString(w, pkt(shaA+" refs/heads/main")) // the client may hang up
				manyRefs(w)
			}})
		head, err := s.client().Head(t.Context(), s.remote(t), mustBranch(t, "main"), Dialect{})
		if err != nil || head.Revision.String() != shaA {
			t.Errorf("got %v, %v", head, err)
		}
	})
	t.Run("the API", func(t *testing.T) {
		s := newServer(t, map[string]http.HandlerFunc{packPath: unserved(),
			apiRepo: jsonOf(200, `{"a":"`+strings.Repeat("x", 70<<10)+`"}`)})
		_, err := s.client().Head(t.Context(), s.remote(t), git.HEAD, Dialect{})
		if !errors.Is(err, ErrInvalidAnswer) || !errors.Is(err, errTooLarge) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("exactly the cap", func(t *testing.T) {
		body := `{"default_branch":"main","x":"` + strings.Repeat("x", maxBody-32) + `"}`
		s := newServer(t, map[string]http.HandlerFunc{apiRepo: jsonOf(200, body)})
		if repo, err := s.client().repository(t.Context(), s.remote(t)); len(body) != maxBody ||
			err != nil || repo.branch.Branch() != "main" {
			t.Errorf("%d bytes: %v, %v", len(body), repo, err)
		}
	})
}

func TestFault14_GzipBomb(t *testing.T) {
	bomb := func(contentType, head, unit string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, head)
			for range 1024 { // 32 MB
				if _, err := io.WriteString(z, unit); err != nil {
					return
				}
			}
			_ = z.Close() // the client has hung up
		}
	}
	s := newServer(t, map[string]http.HandlerFunc{
		packPath: bomb(resultType, "",
			strings.Repeat(pkt(shaB+" refs/heads/main-"+strings.Repeat("x", 949)), 32)),
		apiRepo: bomb(jsonType, `{"default_branch":"`, strings.Repeat("x", 32<<10)),
	})
	if _, err := s.client().Head(
		t.Context(), s.remote(t), git.HEAD, Dialect{},
	); !errors.Is(err, errTooLarge) || !errors.Is(err, ErrInvalidAnswer) {
		t.Errorf("refs: %v", err)
	}
	s.routes[packPath] = unserved()
	if _, err := s.client().Head(
		t.Context(), s.remote(t), git.HEAD, Dialect{},
	); !errors.Is(err, errTooLarge) || !errors.Is(err, ErrInvalidAnswer) {
		t.Errorf("API: %v", err)
	}
	s.routes[packPath] = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "br")
		headMain()(w, r)
	}
	if _, err := s.client().Head(
		t.Context(), s.remote(t), git.HEAD, Dialect{},
	); !errors.Is(err, ErrInvalidAnswer) {
		t.Errorf("an encoding that was not requested: %v", err)
	}
}

// trickle sends an answer byte by byte.
func trickle(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", resultType)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	body := []byte(pkt(shaA + " HEAD " + strings.Repeat("x", 500)))
	for i := range body {
		if _, err := w.Write(body[i : i+1]); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush() // the next write fails then
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}

func TestFault15_SlowLoris(t *testing.T) {
	slow := WithTimeouts(Timeouts{Header: 500 * time.Millisecond, Progress: 500 * time.Millisecond})
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for name, route := range map[string]http.HandlerFunc{"no header": hang,
		"a byte at a time": trickle} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, map[string]http.HandlerFunc{packPath: route})
			start := time.Now()
			_, err := s.client(slow).Head(t.Context(), s.remote(t), git.HEAD, Dialect{})
			var timeout *timeoutError
			if !errors.Is(err, ErrUnavailable) || !errors.As(err, &timeout) {
				t.Errorf("got %v", err)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
	t.Run("a steady stream passes", func(t *testing.T) {
		s := newServer(t,
			map[string]http.HandlerFunc{packPath: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", resultType)
				tick := time.NewTicker(150 * time.Millisecond)
				defer tick.Stop()
				for range 5 { // longer than the progress deadline in all
					_, _ = io.WriteString(w, pkt(shaB+" refs/heads/"+strings.Repeat("x", 600)))
					_ = http.NewResponseController(w).Flush()
					<-tick.C
				}
				_, _ = io.WriteString(w, pkt(shaA+" HEAD")+"0000") // the client reports it
			}})
		if _, err := s.client(slow).Head(t.Context(), s.remote(t), git.HEAD, usual); err != nil {
			t.Error(err)
		}
	})
	t.Run("the whole look-up", func(t *testing.T) {
		s := newServer(t, map[string]http.HandlerFunc{packPath: hang})
		_, err := s.client(WithTimeouts(Timeouts{Total: 50 * time.Millisecond})).Head(t.Context(),
			s.remote(t), git.HEAD, Dialect{})
		if !errors.Is(err, ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	})
}
