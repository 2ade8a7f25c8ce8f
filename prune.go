package pinion

import (
	"cmp"
	"context"
	"fmt"

	"git.moleculesai.app/molecule-ai/pinion/cache"
)

// DefaultKeep is how many images of a template [Orchestrator.Prune] keeps if it is not told.
const DefaultKeep = 2

// PruneOptions say what may stay.
type PruneOptions struct {
	// Keep is how many of the images that were built last stay: of each template, and apart for
	// each platform, repository or other difference that makes a recipe another one. 0 means
	// [DefaultKeep].
	Keep int
	// MaxSize in bytes, as the store counts them, is what all that stays may take together. If it
	// takes more, the oldest go as well, but never the newest of a template. 0 means no bound.
	MaxSize int64
	// CacheMaxSize in bytes is what the build caches in the cache folder may take together; the
	// oldest go first. Of each template the newest [DefaultCacheKeep] stay at most. 0 means
	// [DefaultCacheMaxSize].
	CacheMaxSize int64
	// DryRun changes nothing and reports what would be done.
	DryRun bool
}

// PruneAction is what became of one image or record.
type PruneAction string

// What Prune does.
const (
	// PruneRemoved: Pinion's names for the image are gone, and with the last name the image.
	PruneRemoved PruneAction = "removed"
	// PruneForgotten: the image had gone already, now its record has too.
	PruneForgotten PruneAction = "forgotten"
	// PruneKept: nothing was done.
	PruneKept PruneAction = "kept"
)

// PruneItem is one image that Pinion built, or what is left of it.
type PruneItem struct {
	Built
	Action PruneAction `json:"action"`
	// Reason says why, for people.
	Reason string `json:"reason"`
	// Reclaimed in bytes is the image's size if it is gone, else 0. Layers that other images share
	// stay.
	Reclaimed int64 `json:"reclaimed"`
}

// PruneReport is what [Orchestrator.Prune] did, or would do.
type PruneReport struct {
	DryRun bool        `json:"dry_run"`
	Items  []PruneItem `json:"items"`
	// Reclaimed and Remaining in bytes are what the removed images took and what the others take.
	// Layers that several images share count with each of them.
	Reclaimed int64 `json:"reclaimed"`
	Remaining int64 `json:"remaining"`
	// BuildCache is what became of the build caches in the cache folder.
	BuildCache BuildCacheReport `json:"build_cache"`
}

// BuildCacheReport tells of the build caches, by commit.
type BuildCacheReport = cache.Trimmed

// Prune removes images that Pinion built into the current image store, by the records of this cache
// folder. It keeps the newest of each template, what a container uses, running or not, and what a
// build holds the lock of.
//
// An image is removed by Pinion's own names for it, never by force: only if the name still means
// the recorded image and the image has Pinion's labels. What the engine refuses to remove stays.
// Both are in the report and are no errors. Images that somebody else made are never touched,
// whatever they are called; an image that also has a name of somebody else's loses Pinion's names
// and stays.
//
// An engine cannot remove a name on the condition that it still means the same, so a tag that
// somebody else moves in the instant between the last look and the removal loses that name.
//
// Prune is safe to run beside builds. It is not told of images that were returned by Ensure and
// that no container uses yet; the newest of each template are there to be used. A failure is an
// [*Error], and the report then tells what had been done. A call that is cancelled ends between two
// images.
func (o *Orchestrator) Prune(ctx context.Context, opts PruneOptions) (PruneReport, error) {
	report, err := o.prune(ctx, opts)
	if err != nil {
		return report, fail(ctx, "", err)
	}
	return report, nil
}

func (o *Orchestrator) prune(ctx context.Context, opts PruneOptions) (PruneReport, error) {
	if opts.Keep < 0 || opts.MaxSize < 0 || opts.CacheMaxSize < 0 {
		return PruneReport{}, fmt.Errorf("%w: neither a number of images nor a size can be below 0",
			ErrInvalidInput)
	}
	s, err := o.survey(ctx)
	if err != nil {
		return PruneReport{}, err
	}
	opts.Keep = cmp.Or(opts.Keep, DefaultKeep)
	p := &pruning{survey: s, opts: opts}
	if err := p.run(ctx); err != nil {
		return p.report(), err
	}
	r := p.report()
	r.BuildCache, err = s.dir.TrimBuildCaches(ctx, cache.Limits{
		Keep: DefaultCacheKeep, MaxSize: cmp.Or(opts.CacheMaxSize, DefaultCacheMaxSize),
		DryRun: opts.DryRun,
	})
	return r, err
}

// pruning is one call.
type pruning struct {
	survey
	opts PruneOptions
}

func (p *pruning) run(ctx context.Context) error {
	// Temporary names first, so that an image which has one too goes with its own name.
	for _, temporary := range []bool{true, false} {
		for _, h := range p.holdings {
			if h.temporary() != temporary {
				continue
			}
			if err := p.byAge(ctx, h); err != nil {
				return err
			}
		}
	}
	return p.bySize(ctx)
}

// byAge decides about one image by its place among those of its template.
func (p *pruning) byAge(ctx context.Context, h *holding) error {
	switch {
	case h.found == foundGone:
		return p.remove(ctx, h, goneReason)
	case h.found == foundOdd:
		h.keep(h.odd)
	case h.temporary():
		return p.remove(ctx, h, "left over from a build that did not finish")
	case h.rank >= p.opts.Keep:
		return p.remove(ctx, h, fmt.Sprintf("not among the newest %d of its template", p.opts.Keep))
	default:
		h.keep(fmt.Sprintf("among the newest %d of its template", p.opts.Keep))
	}
	return nil
}

// bySize removes more, the oldest first, as long as the rest takes too much.
func (p *pruning) bySize(ctx context.Context) error {
	if p.opts.MaxSize == 0 {
		return nil
	}
	// The surveyed are newest first.
	for i := len(p.holdings) - 1; i >= 0 && p.remaining() > p.opts.MaxSize; i-- {
		h := p.holdings[i]
		// Whatever is older than the newest Keep has been tried, and is kept for a reason.
		if h.counts() && h.rank > 0 && h.rank < p.opts.Keep {
			if err := p.remove(ctx, h,
				"all images together take too much, and newer ones of its template are kept"); err != nil {
				return err
			}
		}
	}
	return nil
}

// remaining is the size of the images that stay.
func (p *pruning) remaining() (size int64) {
	for _, h := range p.holdings {
		if h.counts() {
			size += h.Size
		}
	}
	return size
}

func (p *pruning) report() PruneReport {
	r := PruneReport{DryRun: p.opts.DryRun, Items: []PruneItem{}, Remaining: p.remaining()}
	for _, h := range p.holdings {
		if h.Action == "" { // not reached before the call ended
			continue
		}
		r.Items = append(r.Items, h.PruneItem)
		r.Reclaimed += h.Reclaimed
	}
	return r
}
