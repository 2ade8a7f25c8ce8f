package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// reloads reads the config file again at each SIGHUP until the returned function is called, and
// calls then after each file that is good.
func (s *session) reloads(ctx context.Context, then func()) (stop func()) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangups:
				s.reload(then)
			}
		}
	}()
	return func() {
		cancel()
		<-done
		signal.Stop(hangups)
	}
}

// reload keeps the config file that was read before if the new one is wrong.
func (s *session) reload(then func()) {
	if err := s.Reload(); err != nil {
		s.log.Error(fmt.Sprintf("the config file is wrong, and the one before stays in force: %v",
			err))
		return
	}
	s.log.Info(fmt.Sprintf("the config file was read again: %d templates", len(s.Names())))
	then()
}
