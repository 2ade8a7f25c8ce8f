package cli

import (
	"context"
	"time"

	"github.com/spf13/pflag"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/server"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/tidy"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
)

// servePruneFlags say what a server prunes by itself.
type servePruneFlags struct {
	on        bool
	interval  time.Duration
	bounds    boundFlags
	high, low string
}

func (f *servePruneFlags) register(fs *pflag.FlagSet) {
	fs.BoolVar(&f.on, "prune", false,
		"remove old images and saved build caches from time to time, as the verb prune does")
	fs.DurationVar(&f.interval, "prune-interval", time.Hour,
		"`duration` between two prunes")
	f.bounds.register(fs)
	fs.StringVar(&f.high, "disk-high", "90%",
		"`percentage` of the images' disk in use above which older images are removed")
	fs.StringVar(&f.low, "disk-low", "80%",
		"`percentage` to which they are removed then")
}

// check returns the configuration of what prunes. It is zero if nothing does.
func (f *servePruneFlags) check(isSet func(string) bool) (c tidy.Config, err error) {
	if !f.on {
		for _, name := range append(f.bounds.names(), "prune-interval", "disk-high", "disk-low") {
			if isSet(name) {
				return c, flags.Errorf("--%s needs --prune", name)
			}
		}
		return c, nil
	}
	c.Interval = f.interval
	if c.Bounds, err = f.bounds.options(); err != nil {
		return c, err
	}
	if c.High, err = parseUse("disk-high", f.high); err != nil {
		return c, err
	}
	if c.Low, err = parseUse("disk-low", f.low); err != nil {
		return c, err
	}
	switch {
	case c.High > 0 && (c.Low == 0 || c.Low > c.High):
		return c, flags.Errorf("--disk-low %q: use a percentage that is not above --disk-high %s",
			f.low, f.high)
	case c.Interval < time.Minute:
		return c, flags.Errorf("--prune-interval %s: use at least 1m", c.Interval)
	}
	return c, nil
}

// tidier prunes for a server. A build that begins before start is called finds none.
type tidier struct{ t *tidy.Tidier }

// beforeBuild makes room.
func (t *tidier) beforeBuild(ctx context.Context, name string) (notice string) {
	if t.t == nil {
		return ""
	}
	return t.t.BeforeBuild(ctx, name)
}

// start prunes until stop is called, and returns what the server shows of it.
func (t *tidier) start(
	ctx context.Context, s *session, c tidy.Config,
) (opts []server.Option, stop func()) {
	opts = []server.Option{server.WithDisk(s.Disk)}
	if c.Interval == 0 {
		return opts, func() {}
	}
	c.Log = s.log
	t.t = tidy.New(s, c)
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		t.t.Run(ctx)
	}()
	return append(opts, server.WithPruneState(t.t.State)), func() {
		cancel()
		<-ended
	}
}
