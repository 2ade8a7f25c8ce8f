package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
)

// A crowd waits for one image: half of it for the answer to its request, and half, having been
// accepted, at a stream of events.
const (
	crowdSize       = 1000
	crowdTimeout    = 3 * time.Minute
	crowdRepoPrefix = "crowd-"
)

// waiting: the memory of a server while many wait for a build, against one with a single caller.
func waiting(ctx context.Context, a *arena) (race, error) {
	g, err := newGate()
	if err != nil {
		return race{}, err
	}
	t, err := newChanging(ctx, a.gitea, crowdRepoPrefix, []string{"ADD " + g.url + " /gate"})
	if err != nil {
		return race{}, errors.Join(err, g.end())
	}
	crowd := func(callers int, name string) contestant {
		c := contestant{name: name, before: t.change}
		c.callers = func(ctx context.Context) (run, error) {
			return a.crowd(ctx, t.prefix(), g, callers)
		}
		return c
	}
	ours := crowd(crowdSize, fmt.Sprintf("`pinion serve`, %d wait", crowdSize))
	return race{ours: ours, peer: crowd(1, "`pinion serve`, one waits"), end: g.end}, nil
}

// crowd starts a server, has the callers wait for a build that is held, and lets it go on when all
// of them are there. The time is from then until the last one has its answer.
func (a *arena) crowd(ctx context.Context, prefix string, g *gate, callers int) (r run, err error) {
	ctx, cancel := context.WithTimeout(ctx, crowdTimeout)
	defer cancel()
	s, err := a.serve(ctx, prefix)
	if err != nil {
		return run{}, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	g.shut()
	defer g.open()
	ids, errs := make([]string, callers), make([]error, callers)
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			if i%2 == 0 {
				ids[i], errs[i] = s.waitForImage(ctx)
			} else {
				ids[i], errs[i] = s.waitForEvents(ctx)
			}
			if errs[i] != nil {
				cancel() // the others would wait for ever
			}
		})
	}
	err = g.arrival(ctx)
	if err == nil {
		err = s.idle(ctx)
	}
	begun := time.Now()
	g.open()
	all.Wait()
	r.Time, r.Memory = time.Since(begun), s.residentAtMost()
	if cause := firstCause(errs); cause != nil {
		return r, cause
	}
	for _, id := range ids {
		if id != ids[0] {
			err = errors.Join(err, fmt.Errorf("one got %s, another %s", ids[0], id))
		}
	}
	return r, err
}

// waitForImage returns the image's ID. An image that was there is an error: its caller has not
// waited.
func (s *serving) waitForImage(ctx context.Context) (string, error) {
	var img pinion.Image
	err := s.ask(ctx, http.MethodPost, "/v1/images/"+name+"?wait=10m", &img)
	if err == nil && img.Outcome != pinion.OutcomeBuilt {
		err = fmt.Errorf("the image was not waited for: %s", img.Outcome)
	}
	return img.ID, err
}

// waitForEvents is waitForImage by the events of the build.
func (s *serving) waitForEvents(ctx context.Context) (string, error) {
	var accepted struct{ Build pinion.BuildStatus }
	if err := s.ask(ctx, http.MethodPost, "/v1/images/"+name, &accepted); err != nil {
		return "", err
	}
	resp, err := s.do(ctx, http.MethodGet, "/v1/builds/"+accepted.Build.ID+"/events", "")
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	last := ""
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			last = data
		}
	}
	var e pinion.Event
	err = json.Unmarshal([]byte(last), &e)
	if err == nil && (e.Image == nil || e.Image.Outcome != pinion.OutcomeBuilt) {
		err = fmt.Errorf("the last event is %s", last)
	}
	if err != nil {
		return "", err
	}
	return e.Image.ID, nil
}
