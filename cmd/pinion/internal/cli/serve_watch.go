package cli

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/history"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/pulls"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/server"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/watch"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// serveAndWatch serves requests and follows heads, and pull requests that webhooks report, until
// ctx ends.
func (a *app) serveAndWatch(
	ctx context.Context, s *session, f *serveFlags, hidden secrets, opts []server.Option,
	listeners []net.Listener,
) error {
	w := watch.New(s, s.Templates(), f.interval, s.log, watch.WithFailed(s.failed))
	opts = append(opts, server.WithObserver(w.Follow), server.WithWatchState(w.State))
	p := pulls.New(s, s.log)
	if hidden.hook != "" {
		opts = append(opts, server.WithHook(hidden.hook, w.Pushed),
			server.WithPullRequests(p.Reported))
	}
	srv := server.New(s, opts...)
	for _, name := range f.warm {
		w.Follow(name)
	}
	defer s.reloads(ctx, func() { w.Update(s.Templates()) })()
	watching, stop := context.WithCancel(ctx)
	defer stop()
	var all sync.WaitGroup
	all.Go(func() { followBuilt(watching, s, w) })
	all.Go(func() { w.Run(watching, srv) })
	all.Go(func() { p.Run(watching, srv) })
	err := srv.Serve(ctx, f.drain, listeners...)
	stop()
	all.Wait()
	return err
}

// lastBuilds is how many of the newest builds of a template tell how one of a commit ended.
const lastBuilds = 50

// failed returns what the image of a commit would have been called if the history has its last
// build, and that failed because of the template.
func (s *session) failed(ctx context.Context, name string, rev git.Revision) (reference string) {
	if s.past == nil {
		return ""
	}
	past, err := s.past()
	if err != nil {
		return "" // the recorder says what is wrong
	}
	list, err := past.List(ctx, history.Filter{Names: []string{name}, Limit: lastBuilds,
		Kinds: []string{history.KindDone, history.KindFailed}})
	i := slices.IndexFunc(list, func(b history.Build) bool {
		return b.Revision == rev && b.PullRequest == 0
	})
	if err != nil || i < 0 || list[i].Failure == nil || list[i].Failure.Class != pinion.ClassBuild {
		return ""
	}
	return list[i].Reference
}

// followBuilt follows the templates whose images are in the store.
func followBuilt(ctx context.Context, s *session, w *watch.Watcher) {
	built, err := s.List(ctx)
	if err != nil && ctx.Err() == nil {
		s.log.Warn(fmt.Sprintf("watch: the images in the store cannot be listed, so only "+
			"requested and named templates are followed: %v", err))
	}
	for _, b := range built {
		if b.PullRequest == 0 {
			w.Follow(b.Name)
		}
	}
}
