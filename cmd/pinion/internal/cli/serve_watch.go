package cli

import (
	"context"
	"fmt"
	"net"
	"sync"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/server"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/watch"
)

// serveAndWatch serves requests and follows heads until ctx ends.
func (a *app) serveAndWatch(
	ctx context.Context, s *session, f *serveFlags, hidden secrets, opts []server.Option,
	listeners []net.Listener,
) error {
	w := watch.New(s, s.Templates(), f.interval, s.log)
	opts = append(opts, server.WithObserver(w.Follow), server.WithWatchState(w.State))
	if hidden.hook != "" {
		opts = append(opts, server.WithHook(hidden.hook, w.Pushed))
	}
	srv := server.New(s, opts...)
	for _, name := range f.warm {
		w.Follow(name)
	}
	defer s.reloads(ctx, func() { w.Update(s.Templates()) })()
	watching, stop := context.WithCancel(ctx)
	defer stop()
	var both sync.WaitGroup
	both.Go(func() { followBuilt(watching, s, w) })
	both.Go(func() { w.Run(watching, srv) })
	err := srv.Serve(ctx, f.drain, listeners...)
	stop()
	both.Wait()
	return err
}

// followBuilt follows the templates whose images are in the store.
func followBuilt(ctx context.Context, s *session, w *watch.Watcher) {
	built, err := s.List(ctx)
	if err != nil && ctx.Err() == nil {
		s.log.Warn(fmt.Sprintf("watch: the images in the store cannot be listed, so only "+
			"requested and named templates are followed: %v", err))
	}
	for _, b := range built {
		w.Follow(b.Name)
	}
}
