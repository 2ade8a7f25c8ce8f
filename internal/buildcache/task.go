package buildcache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/moby/buildkit/solver/pb"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/builder"
)

// task is a save in a form that another process of the same version can read. It has no credential.
type task struct {
	Save
	Version    int    `json:"version"`
	Line       string `json:"line"` // of the recipe, see [Offer.line]
	Image      string `json:"image"`
	Revision   string `json:"revision"`
	Platform   string `json:"platform"`
	NoCache    bool   `json:"no_cache,omitempty"`
	Place      Place  `json:"place"`
	Repository string `json:"repository,omitempty"` // for Registry
	// Imports are what the build was offered, unless it could not be read. Named are those of the
	// caller, and To the caller's exports.
	Imports []buildkit.CacheEntry `json:"imports,omitempty"`
	Named   []buildkit.CacheEntry `json:"named,omitempty"`
	To      []buildkit.CacheEntry `json:"to,omitempty"`
	// Graph is the solved graph as BuildKit's pb.Definition; empty if there is only a repair to do.
	Graph []byte `json:"graph,omitempty"`
	// Repair says that the folder could not be read by the build.
	Repair bool `json:"repair,omitempty"`
	// Builder is the builder that has the results, which no other one has.
	Builder buildkit.Info `json:"builder"`
}

// taskVersion is raised when the meaning of a task changes.
const taskVersion = 1

// newTask returns the save of a build that was offered caches.
func (o *Offer) newTask(res buildkit.Result) (task, error) {
	r := o.request.Recipe
	t := task{
		Save:    Save{Build: o.request.Build, Name: o.request.Name, Reference: r.Reference()},
		Version: taskVersion, Line: o.line(), Image: r.Image, Revision: r.Revision.String(),
		Platform: r.Platform, NoCache: o.request.NoCache, Place: o.place,
		Repository: o.caches.Spec.Repository, To: o.request.Entries.To,
		Repair: res.ImportFailed != nil && o.place == Local, Builder: o.builder.Info(),
	}
	if res.ImportFailed == nil {
		t.Imports, t.Named = o.imports, o.named
	}
	var err error
	if res.Graph != nil {
		t.Graph, err = res.Graph.MarshalVT()
	}
	return t, err
}

// key names the places of the save. Of two saves with one key only the newer is worth its time.
// Exports to entries of the caller are apart, so they never replace each other.
func (t task) key() string {
	var to []string
	for _, e := range t.To {
		to = append(to, fmt.Sprint(e))
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %q", t.Line, to))
	return hex.EncodeToString(sum[:])
}

func (t task) graph() (*pb.Definition, error) {
	d := &pb.Definition{}
	return d, d.UnmarshalVT(t.Graph)
}

// handOver leaves a save to another process. If that cannot be started, what was left stays: it may
// be another build's by now, whose process takes it, and the next save replaces it.
func (c *Caches) handOver(ctx context.Context, t task) error {
	dir, err := c.Records()
	if err != nil {
		return err
	}
	text, err := json.Marshal(t)
	if err != nil {
		return err
	}
	key := t.key()
	if err := dir.PutSave(key, text); err != nil {
		return err
	}
	return c.Start(ctx, key)
}

// Names of locks. Those of keys exclude other saves with the key.
const (
	lockSave  = "save-"       // and a key: held by the save
	lockNext  = "save-next-"  // and a key: held by who waits for it
	lockPlace = "save-place-" // and a number
)

// Resume saves what another process has handed over under the key, with the builder of connect. It
// does nothing if another process will do that, or has done it.
func (c *Caches) Resume(
	ctx context.Context, key string,
	connect func(ctx context.Context, platform string) (builder.Builder, error),
) error {
	dir, err := c.Records()
	if err != nil {
		return err
	}
	// Who waits for the save before takes what is newest by then, so one is enough.
	stopWaiting, err := dir.Lock(ctx, lockNext+key, 0)
	if errors.Is(err, cache.ErrLockTimeout) {
		return nil
	}
	if err != nil {
		return err
	}
	defer stopWaiting()
	unlock, err := dir.Lock(ctx, lockSave+key, saveTimeout)
	if err != nil {
		return err
	}
	defer unlock()
	leave, err := place(ctx, dir)
	if err != nil {
		return err
	}
	defer leave()
	stopWaiting()
	text, err := dir.TakeSave(key)
	if err != nil || text == nil {
		return err
	}
	var t task
	if err := json.Unmarshal(text, &t); err != nil {
		return err
	}
	if t.Version != taskVersion {
		return errors.New("the save was handed over by another version of pinion")
	}
	b, err := connect(ctx, t.Platform)
	if err == nil {
		defer b.Close()
		err = t.requireBuilder(b.Info())
	}
	if err != nil {
		c.logFailure(t, err)
		c.Report(t.Save).End(err)
		return err
	}
	return newSave(c, t, b).run(ctx)
}

// requireBuilder returns an error unless the builder is the one that has the results.
func (t task) requireBuilder(now buildkit.Info) error {
	if now == t.Builder {
		return nil
	}
	return fmt.Errorf("the build was on %s %s, and now %s %s is there", t.Builder.Endpoint,
		t.Builder.Version, now.Endpoint, now.Version)
}

// place takes one of the places of processes that save, as many as savesAtOnce.
func place(ctx context.Context, dir *cache.Dir) (leave func(), err error) {
	for {
		for i := range savesAtOnce {
			leave, err := dir.Lock(ctx, fmt.Sprint(lockPlace, i), 0)
			if !errors.Is(err, cache.ErrLockTimeout) {
				return leave, err
			}
		}
		select {
		case <-time.After(placePoll):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// placePoll is the pause between two looks for a place. A save takes seconds.
const placePoll = 200 * time.Millisecond
