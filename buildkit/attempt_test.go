package buildkit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	cerrdefs "github.com/containerd/errdefs"

	"git.moleculesai.app/molecule-ai/pinion/internal/redact"
)

// causesOf returns, for each fallback, whether the failure of an attempt calls for it.
func causesOf(ctx context.Context, s *solve, err error) (causes [5]bool) {
	for i, f := range fallbacks() {
		causes[i] = f.cause(ctx, s, err) != nil
	}
	return causes
}

func TestFallbacks(t *testing.T) {
	plain := errors.New("x")
	refused := &Error{Op: "fetch", Kind: ErrFetch, Err: &refusedCommit{plain}}
	for name, c := range map[string]struct {
		s    solve
		err  error
		want [5]bool
	}{
		"the single commit": {solve{failed: refused}, plain, [5]bool{true}},
		"a server that is away": {solve{failed: &Error{Op: "fetch", Kind: ErrFetch,
			Err: &refusedCommit{errors.New("git stderr:\nfatal: unable to access 'http://x/': " +
				"The requested URL returned error: 503: exit status 128")}}}, plain, [5]bool{}},
		"the refs": {solve{failed: &Error{Op: "fetch", Kind: ErrFetch, Err: plain}}, plain,
			[5]bool{}},
		"a step":              {solve{fetched: time.Now()}, plain, [5]bool{}},
		"unreadable layers":   {solve{}, fmt.Errorf("%w: x", errUnreadable), [5]bool{4: true}},
		"with an attestation": {solve{}, errors.Join(errNoArchive, errUnreadable), [5]bool{}},
		"a collected attestation": {solve{}, errors.Join(errNoArchive, errUnreadable,
			cerrdefs.ErrNotFound), [5]bool{2: true, 3: true}},
		"a collected layer": {solve{}, errors.Join(errUnreadable, cerrdefs.ErrNotFound),
			[5]bool{4: true}},
	} {
		if got := causesOf(t.Context(), &c.s, c.err); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestAttempts: each fallback changes one thing and leaves the changes before it.
func TestAttempts(t *testing.T) {
	b := &Builder{info: Info{Kind: KindBuildkitd}}
	req := Request{CacheImports: []CacheEntry{{Type: "local"}}, Token: "s3cret"}
	s := newSolve(b, req, newChecks(nil), func(error) {})
	started := s.started
	for i, f := range fallbacks() {
		_, archive := s.exporter().(archiveExporter)
		if refs := s.attempt.commitRefused != nil; refs != (i > 0) || archive ||
			(len(s.imports()) > 0) != (i < 2) {
			t.Errorf("attempt %d: %+v", i, s.attempt)
		}
		s = s.next(func(error) {})
		f.apply(&s.attempt, fmt.Errorf("no luck with s3cret %d", i))
	}
	if _, archive := s.exporter().(archiveExporter); !archive || s.started != started {
		t.Errorf("the last attempt: %+v", s.attempt)
	}
	var res Result
	s.attempt.annotate(&res, redact.New(req.Token))
	if res.ImportFailed == nil || strings.Contains(res.ImportFailed.Error(), req.Token) ||
		!strings.Contains(res.ImportFailed.Error(), "1") ||
		!strings.Contains(res.Delivery.Reason, "4") {
		t.Errorf("got %+v", res)
	}
	s.failed = &Error{Op: "inspect", Kind: ErrRefused, Err: errors.New("bad")}
	if err := s.ownError(errors.New("x")); !errors.Is(err, ErrRefused) ||
		!strings.Contains(err.Error(), "asked for the single commit") {
		t.Errorf("got %v", err)
	}
}
