package buildcache

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/moby/buildkit/client"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/builder"
	"git.moleculesai.app/molecule-ai/pinion/internal/recipe"
)

// Config is what caches need of their surroundings.
type Config struct {
	Spec Spec
	// Records opens the cache folder.
	Records func() (*cache.Dir, error)
	Log     *slog.Logger
	// Redact removes credentials from a text.
	Redact func(string) string
	// Start begins a save in another process, which calls [Caches.Resume] with the key; nil leaves
	// all saves to this one.
	Start func(ctx context.Context, key string) error
	// Report begins the report of a save.
	Report func(Save) Report
}

// Save is what a save is of.
type Save struct {
	Build     string `json:"build"`     // the build's ID
	Name      string `json:"name"`      // the template's
	Reference string `json:"reference"` // the image's
}

// Report is told how a save goes on.
type Report interface {
	Progress(*client.SolveStatus)
	// End is called once, after the last progress.
	End(err error)
}

// Caches offers and saves build caches. It is safe for concurrent use.
type Caches struct {
	Config
	queue *queue
	// saving is held for a save to a folder where there can be no lock of a file.
	saving sync.Mutex
}

// New returns the caches of a configuration. It opens nothing.
func New(c Config) *Caches { return &Caches{Config: c, queue: newQueue()} }

// Close waits until all caches are saved. If ctx ends sooner, the saving is cancelled, and the
// error is ctx's cause. No Offer may be in use.
func (c *Caches) Close(ctx context.Context) error { return c.queue.close(ctx) }

// Request is a build that is offered caches.
type Request struct {
	// Build is the ID of the build, and Name the template's.
	Build, Name string
	Recipe      recipe.Recipe
	Entries     Entries
	// NoCache runs all steps again: nothing is offered, and a cache that exists is replaced.
	NoCache bool
}

// Offer holds the saved caches of one build: those to import, and those to save. It owns the
// build's connection.
type Offer struct {
	caches  *Caches
	request Request
	builder builder.Builder // nil once a save has taken it
	place   Place
	// imports come from the setting and named from the caller.
	imports, named []buildkit.CacheEntry
	release        func()
	warnings       []string
}

// Offer opens the caches for a build and takes the connection over. The caller calls Release after
// the solve and Done at the end.
func (c *Caches) Offer(ctx context.Context, req Request, b builder.Builder) *Offer {
	o := &Offer{caches: c, request: req, builder: b, place: c.Spec.placeFor(b.Info().Kind),
		release: func() {}}
	if req.Recipe.Tree != "" {
		o.place = Off // saved caches go by commits
	}
	switch o.place {
	case Local:
		if err := o.openFolder(ctx); err != nil {
			o.place = Off
			o.warn("the build cache cannot be used: %v", err)
		}
	case Registry:
		from := cache.NewRegistryCache(c.Spec.Repository+"/"+req.Recipe.Image, o.line())
		o.imports = entries(from.Imports(req.Recipe.Revision.String()))
	}
	if req.NoCache {
		o.imports = nil
		return o
	}
	o.openNamed()
	return o
}

// line returns the recipe's line without the labels of the caller and the pull request. They change
// nothing of the steps, so builds with different labels use one cache, and that of a pull request
// reads its branch's.
func (o *Offer) line() string {
	return o.request.Recipe.WithLabels(nil).OfPullRequest(0).Line()
}

// Imports returns the caches to offer to the builder, those of the caller last.
func (o *Offer) Imports() []buildkit.CacheEntry { return slices.Concat(o.imports, o.named) }

// Release lets other processes change the folder that was offered.
func (o *Offer) Release() { o.release() }

// Done closes the connection unless Save has taken it over.
func (o *Offer) Done() {
	if o.builder != nil {
		_ = o.builder.Close()
	}
}

// Warnings returns what could not be offered or read, human-readable.
func (o *Offer) Warnings(res buildkit.Result) []string {
	if res.ImportFailed == nil {
		return o.warnings
	}
	return append(slices.Clone(o.warnings), fmt.Sprintf("built a second time, without the build "+
		"cache, which could not be read: %v", res.ImportFailed))
}

// Imported returns the place that the imports of the setting come from, and the commits, or for a
// registry the references, in the order in which BuildKit asks for them. It is empty if nothing was
// offered, or if the build did not use it.
func (o *Offer) Imported(res buildkit.Result) (from Place, imported []string) {
	if len(o.imports) == 0 || res.ImportFailed != nil {
		return "", nil
	}
	for _, e := range o.imports {
		imported = append(imported, e.Attrs["tag"]+e.Attrs["ref"]) // an entry has one of them
	}
	return o.place, imported
}

// openFolder opens the line's folder in the cache folder.
func (o *Offer) openFolder(ctx context.Context) error {
	dir, err := o.caches.Records()
	if err != nil {
		return err
	}
	folder, err := dir.BuildCache(o.line())
	if err != nil {
		return err
	}
	imports, warnings, release, err := folder.Imports(ctx, o.request.Recipe.Revision.String())
	o.imports, o.warnings, o.release = entries(imports), warnings, release
	return err
}

// openNamed adds the caller's entries. BuildKit finds a registry's by itself.
func (o *Offer) openNamed() {
	for _, e := range o.request.Entries.From {
		if e.Type == "local" {
			if err := findImport(e); err != nil {
				o.warn("the build cache in %s was not used: %v", e.Attrs["src"], err)
				continue
			}
		}
		o.named = append(o.named, e)
	}
}

func (o *Offer) warn(format string, args ...any) {
	o.warnings = append(o.warnings, fmt.Sprintf(format, args...))
}

func entries(of []cache.BuildKitEntry) (out []buildkit.CacheEntry) {
	for _, e := range of {
		out = append(out, buildkit.CacheEntry(e))
	}
	return out
}
