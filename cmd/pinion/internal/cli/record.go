package cli

import (
	"context"
	"sync"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/history"
)

// Times of the history's files.
const (
	// recordWait is how long a command waits at its end for the last lines.
	recordWait = 3 * time.Second
	// flushEvery is the time between two writes of a server.
	flushEvery = 5 * time.Second
)

// observe records a build or hit if the verb is recorded.
func (s *session) observe(b *pinion.Build) {
	if s.recorder != nil {
		s.recorder.Observe(b)
	}
}

// record writes the builds and hits of a command into the history, until stop is called.
func (a *app) record(ctx context.Context, s *session, command string) (stop func()) {
	return a.startRecord(ctx, s, command)
}

// recordServer is record for a server, which writes from time to time.
func (a *app) recordServer(ctx context.Context, s *session) (stop func()) {
	end := a.startRecord(ctx, s, "serve", history.Batched())
	if s.recorder == nil {
		return end
	}
	ctx, cancel := context.WithCancel(ctx)
	var flushes sync.WaitGroup
	flushes.Go(func() {
		for tick := time.NewTicker(flushEvery); ; {
			select {
			case <-tick.C:
				s.recorder.Flush(ctx)
			case <-ctx.Done():
				tick.Stop()
				return
			}
		}
	})
	return func() {
		cancel()
		flushes.Wait()
		end()
	}
}

func (a *app) startRecord(
	ctx context.Context, s *session, command string, opts ...history.RecorderOption,
) (stop func()) {
	folder := a.global.History(a.env)
	if folder == "" {
		return func() {}
	}
	s.past = sync.OnceValues(func() (*history.Dir, error) { return history.Open(folder) })
	s.recorder = history.NewRecorder(s.past, command, s.log, opts...)
	return func() {
		// An interrupt cancels ctx, and what it interrupted is to be recorded.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordWait)
		defer cancel()
		s.recorder.Close(ctx)
	}
}
