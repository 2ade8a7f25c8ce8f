package forge

import (
	"context"
	"crypto/tls"
	"log/slog"
	"slices"
	"sync"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/outbox"
)

// Config is what a [Reporter] needs.
type Config struct {
	// Forge returns where the statuses of a template go, and false for nowhere.
	Forge func(template string) (pinion.Forge, bool)
	// Size returns the size of an image, or 0. It may take its time, until ctx ends.
	Size func(ctx context.Context, img pinion.Image) int64
	// Page returns the address of a build's page, "" for none.
	Page func(id string) string
	Log  *slog.Logger
	// Counts says what became of the statuses. It may be nil.
	Counts *outbox.Counts

	box []outbox.Option
}

// Reporter sends statuses. [New] makes one.
type Reporter struct {
	Config

	mu       sync.Mutex
	closed   bool
	places   map[string]place // by scheme and host
	replaced sync.WaitGroup   // boxes that are being closed
	green    map[string]bool  // commits that are known to have succeeded
	order    []string         // of green
}

// place is a forge with the certificates with which it is asked.
type place struct {
	box *outbox.Box
	tls *tls.Config
}

// replaceTimeout bounds the time for what waits when the certificates change.
const replaceTimeout = 10 * time.Second

// maxGreen bounds the commits that are known to have succeeded. The oldest is forgotten first.
const maxGreen = 1024

// New makes a reporter. The caller must close it.
func New(c Config) *Reporter {
	if c.Counts != nil {
		c.box = append(slices.Clone(c.box), outbox.WithCounts(c.Counts))
	}
	return &Reporter{Config: c, places: map[string]place{}, green: map[string]bool{}}
}

// Report sends what the status of a build says of its commit. It returns at once. A hit is reported
// only if the commit is not known to have succeeded.
func (r *Reporter) Report(b pinion.BuildStatus) {
	if b.Revision.IsZero() {
		return // a working tree, or an image of a registry
	}
	f, ok := r.Forge(b.Name)
	if !ok {
		return
	}
	s := r.statusOf(b)
	r.mu.Lock()
	defer r.mu.Unlock()
	commit := f.Remote.String() + " " + b.Revision.String() + " " + s.context
	if r.closed || isHit(b) && r.green[commit] {
		return
	}
	r.remember(commit, s.state == success)
	r.boxOf(f).Put(func(ctx context.Context) (outbox.Message, error) {
		if b.Image != nil {
			s.description += r.sizeOf(ctx, *b.Image)
		}
		return message(f, s)
	}, s.state == pending)
}

// remember notes whether a commit has succeeded. The caller holds mu.
func (r *Reporter) remember(commit string, isGreen bool) {
	if !isGreen {
		if r.green[commit] {
			r.green[commit] = false // its place in the order stays
		}
		return
	}
	if _, ok := r.green[commit]; !ok {
		r.order = append(r.order, commit)
		if len(r.order) > maxGreen {
			delete(r.green, r.order[0])
			r.order = r.order[1:]
		}
	}
	r.green[commit] = true
}

// boxOf returns the box of a forge, a new one if the certificates are others since a reload of the
// configuration. The caller holds mu.
func (r *Reporter) boxOf(f pinion.Forge) *outbox.Box {
	host := f.Remote.Scheme() + "://" + f.Remote.Host()
	p := r.places[host]
	if p.box != nil && p.tls == f.TLS {
		return p.box
	}
	if p.box != nil {
		r.replaced.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), replaceTimeout)
			defer cancel()
			p.box.Close(ctx)
		})
	}
	box := outbox.New("commit statuses at "+host, outbox.Transport(f.TLS), r.Log, r.box...)
	r.places[host] = place{box, f.TLS}
	return box
}

// Close sends the statuses that wait until ctx ends, and drops the rest. Later ones are dropped.
func (r *Reporter) Close(ctx context.Context) {
	r.mu.Lock()
	places := r.places
	r.closed = true
	r.mu.Unlock()
	var all sync.WaitGroup
	for _, p := range places {
		all.Go(func() { p.box.Close(ctx) })
	}
	all.Wait()
	r.replaced.Wait()
}
