package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
)

// hitsByLibrary compares hits in one process with the two requests that a hit needs at least, sent
// at the same moment: one to the git server and one to the engine.
func hitsByLibrary(v volley) preparing {
	return func(ctx context.Context, a *arena) (race, error) {
		want, err := a.present(ctx)
		if err != nil {
			return race{}, err
		}
		o, err := a.orchestrator()
		if err != nil {
			return race{}, err
		}
		ours := v.of("the library", func(ctx context.Context) error {
			img, err := o.Ensure(ctx, name)
			return errors.Join(err, want.check(img))
		})
		alone, err := a.gitAlone(ctx, want.revision)
		return race{ours: ours, peer: a.bare(v, want), alone: alone}, err
	}
}

// hitsByHTTP: the same from `pinion serve`, on a connection for each caller.
func hitsByHTTP(v volley) preparing {
	return func(ctx context.Context, a *arena) (race, error) {
		want, err := a.present(ctx)
		if err != nil {
			return race{}, err
		}
		s, err := a.serve(ctx, a.template.prefix())
		if err != nil {
			return race{}, err
		}
		ours := v.of("`pinion serve`", func(ctx context.Context) error {
			var img pinion.Image
			err := s.ask(ctx, http.MethodPost, "/v1/images/"+name+"?wait=10m", &img)
			return errors.Join(err, want.check(img))
		})
		alone, err := a.gitAlone(ctx, want.revision)
		if err != nil {
			return race{}, errors.Join(err, s.stop())
		}
		return race{ours: ours, peer: a.bare(v, want), alone: alone, end: s.stop}, nil
	}
}

// of makes callers of what answers a question.
func (v volley) of(name string, ask func(context.Context) error) contestant {
	return contestant{name: name, callers: func(ctx context.Context) (run, error) {
		return v.run(ctx, ask)
	}}
}

// present is the image in the store, which each answer must name.
type present struct{ reference, id, revision string }

func (a *arena) present(ctx context.Context) (present, error) {
	reference, err := a.reference(ctx)
	if err != nil {
		return present{}, err
	}
	found, err := a.api.ImageInspect(ctx, reference)
	return present{reference, found.ID, a.template.revision}, err
}

func (p present) check(img pinion.Image) error {
	if img.Outcome != pinion.OutcomeHit || img.ID != p.id || img.Revision.String() != p.revision {
		return fmt.Errorf("%s, %s of %s is not the hit on %+v",
			img.Outcome, img.ID, img.Revision, p)
	}
	return nil
}

// orchestrator is the library with the settings of a server.
func (a *arena) orchestrator() (*pinion.Orchestrator, error) {
	env := map[string]string{}
	for _, v := range a.env() {
		name, value, _ := strings.Cut(v, "=")
		env[name] = value
	}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	return pinion.New(pinion.WithRememberedInspections(), pinion.OptionsFromEnv(lookup))
}

// lsRefs asks for HEAD's commit in git's protocol version 2.
const lsRefs = "0014command=ls-refs\n00010014ref-prefix HEAD\n0000"

// bare asks the git server for the commit and the engine for the image at once, and neither shares
// an answer among callers nor doubts one.
func (a *arena) bare(v volley, want present) contestant {
	git := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: manyIdle}}
	return v.of("both requests alone", func(ctx context.Context) error {
		inspected := make(chan error, 1)
		go func() {
			found, err := a.api.ImageInspect(ctx, want.reference)
			if err == nil && found.ID != want.id {
				err = fmt.Errorf("the engine has %s, not %s", found.ID, want.id)
			}
			inspected <- err
		}()
		return errors.Join(a.lookUp(ctx, git, want.revision), <-inspected)
	})
}

// gitAlone returns the p99 of the git server's answers to one caller.
func (a *arena) gitAlone(ctx context.Context, want string) (time.Duration, error) {
	git := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: manyIdle}}
	r, err := volley{1, 200}.run(ctx, func(ctx context.Context) error {
		return a.lookUp(ctx, git, want)
	})
	if err != nil {
		return 0, err
	}
	return r.Waits.Quantile(0.99), nil
}

func (a *arena) lookUp(ctx context.Context, git *http.Client, want string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost,
		a.template.gitURL()+"/git-upload-pack", strings.NewReader(lsRefs))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-git-upload-pack-request")
	req.Header.Set("Git-Protocol", "version=2")
	resp, err := git.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && !strings.Contains(string(text), want+" HEAD") {
		err = fmt.Errorf("the git server says %s %q, not %s", resp.Status, text, want)
	}
	return err
}
