package cli

import (
	"time"

	"github.com/spf13/pflag"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
)

// boundFlags say what may stay. The verbs prune and serve have them.
type boundFlags struct {
	keep         int
	maxAge       time.Duration
	maxSize      string
	cacheMaxSize string
}

func (f *boundFlags) register(fs *pflag.FlagSet) {
	fs.IntVar(&f.keep, "keep", pinion.DefaultKeep,
		"`number` of newest images to keep for each template")
	fs.DurationVar(&f.maxAge, "max-age", 0,
		"longest `duration` since its build for which an image is kept, for example 720h "+
			"(default no limit)")
	fs.StringVar(&f.maxSize, "max-size", "",
		"largest `size` of all images together, for example 20GB or 512MiB (default no limit)")
	fs.StringVar(&f.cacheMaxSize, "cache-max-size", "",
		"largest `size` of all saved build caches together (default 10GB)")
}

// names are the flags that register adds.
func (f *boundFlags) names() []string {
	return []string{"keep", "max-age", "max-size", "cache-max-size"}
}

func (f *boundFlags) options() (opts pinion.PruneOptions, err error) {
	opts.Keep, opts.MaxAge = f.keep, f.maxAge
	switch {
	case f.keep < 1:
		return opts, flags.Errorf("--keep %d: use at least 1, because the newest image of a "+
			"template is always kept", f.keep)
	case f.maxAge < 0:
		return opts, flags.Errorf("--max-age %s is negative", f.maxAge)
	}
	for _, limit := range []struct {
		flag, value string
		to          *int64
	}{{"max-size", f.maxSize, &opts.MaxSize},
		{"cache-max-size", f.cacheMaxSize, &opts.CacheMaxSize}} {
		if limit.value == "" {
			continue
		}
		if *limit.to, err = flags.ParseSize(limit.value); err != nil || *limit.to <= 0 {
			return opts, flags.Errorf("--%s %q: use a number above 0 with a unit, for example "+
				"20GB or 512MiB", limit.flag, limit.value)
		}
	}
	return opts, nil
}

// parseUse reads a part of a disk, such as 80%. An empty value is 0.
func parseUse(flag, value string) (float64, error) {
	if value == "" {
		return 0, nil
	}
	use, ok := flags.ParsePercent(value)
	if !ok {
		return 0, flags.Errorf("--%s %q: use a percentage from 1%% to 100%%", flag, value)
	}
	return use, nil
}
