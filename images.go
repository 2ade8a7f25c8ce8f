package pinion

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/diskspace"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/retention"
)

// DefaultKeep is the number of images of a template that [Orchestrator.Prune] keeps by default.
const DefaultKeep = 2

// The build caches that stay in the cache folder after each build.
const (
	// DefaultCacheKeep is the number of commits of a template whose caches stay.
	DefaultCacheKeep = cache.DefaultKeep
	// DefaultCacheMaxSize in bytes is the most that all of them take together.
	DefaultCacheMaxSize = cache.DefaultMaxSize
)

// PruneOptions say what may stay.
type PruneOptions struct {
	// Keep is the number of images that stay: of each template, and apart for each platform,
	// repository or other difference of the recipe except for labels. The image that was requested
	// last is kept first, then that of the branch's head, the one that was requested last with each
	// set of labels, and the newest of the others. 0 means [DefaultKeep]. Of a pull request as many
	// stay as the catalogue says, and none once it is closed. Where the other bounds remove images,
	// those of pull requests go first.
	Keep int
	// MaxSize in bytes, as the store counts, bounds all images that stay. If they take more, the
	// oldest are removed as well, but never the first of a template in the catalogue. 0 means no
	// bound.
	MaxSize int64
	// MaxAge is for how long after its build an image may stay. The first of a template in the
	// catalogue stays. 0 means no bound.
	MaxAge time.Duration
	// MaxDiskUse bounds the part of a file system that is in use, 0.8 for 80 %, whoever uses it.
	// If there is more in use where the images lie, the oldest of them are removed until there is
	// not, but never the first of a template in the catalogue; an engine's whose disk cannot be
	// seen from here stay, see [Disk]. After that it bounds the file system of the cache folder,
	// and removes build caches. 0 means no bound.
	MaxDiskUse float64
	// CacheMaxSize in bytes bounds the build caches in the cache folder; the oldest are removed
	// first. Of each template at most the newest [DefaultCacheKeep] stay. 0 means
	// [DefaultCacheMaxSize].
	CacheMaxSize int64
	// DryRun changes nothing and reports what would be done.
	DryRun bool
}

// PruneAction is what became of one image or record.
type PruneAction string

// The actions of Prune.
const (
	// PruneRemoved: Pinion's names for the image are gone, and with the last name the image.
	PruneRemoved PruneAction = "removed"
	// PruneForgotten: the image had gone before, now its record has too.
	PruneForgotten PruneAction = "forgotten"
	// PruneKept: nothing was done.
	PruneKept PruneAction = "kept"
)

// PruneItem is one image that Pinion built, or what is left of it.
type PruneItem struct {
	Built
	Action PruneAction `json:"action"`
	// Reason says why, human-readable.
	Reason string `json:"reason"`
	// Reclaimed in bytes is what is free since the image is gone. What an image that stays shares
	// with it is not, if the store tells what images share; a folder does.
	Reclaimed int64 `json:"reclaimed"`
	// Refused reports whether the image was to go, and the store or the disk did not allow that.
	Refused bool `json:"refused,omitempty"`
}

// PruneReport is what [Orchestrator.Prune] did, or would do.
type PruneReport struct {
	DryRun bool        `json:"dry_run"`
	Items  []PruneItem `json:"items"`
	// Reclaimed in bytes is what is free now, and Remaining what the other images take together.
	// What several images of a folder share counts once, and with each of them in an engine.
	Reclaimed int64 `json:"reclaimed"`
	Remaining int64 `json:"remaining"`
	// BuildCache is what became of the build caches in the cache folder.
	BuildCache BuildCacheReport `json:"build_cache"`
	// Clones are those that Reset removed; their sizes are not in Reclaimed.
	Clones []Clone `json:"clones,omitempty"`
}

// Clone is a git clone that the platform's earlier local build left in the cache folder.
type Clone = cache.Clone

// BuildCacheReport lists the build caches, by commit.
type BuildCacheReport = cache.Trimmed

// Prune removes images that Pinion built into the current image store, by the records of this cache
// folder. It keeps the newest of each template, images that a container uses, running or not, and
// images whose lock a build holds.
//
// An image is removed by Pinion's own names for it, never by force: only if the name still means
// the recorded image and the image has Pinion's labels. What the engine refuses to remove stays.
// Both are in the report and are no errors. Images that Pinion did not make are never touched, even
// under a name like Pinion's. An image that also has a name from elsewhere loses Pinion's names and
// stays.
//
// An engine cannot remove a name on the condition that it still means the same image. A tag that
// another program moves in the instant between the last check and the removal loses that name.
//
// Prune is safe to run beside builds. It does not know about images that were returned by Ensure
// and that no container uses yet; the newest of each template are there to be used. A failure is an
// [*Error], and the report then says what had been done. A call that is cancelled ends between two
// images.
func (o *Orchestrator) Prune(ctx context.Context, opts PruneOptions) (PruneReport, error) {
	report, err := o.prune(ctx, opts)
	if err != nil {
		return report, fail(ctx, "", err)
	}
	return report, nil
}

func (o *Orchestrator) prune(ctx context.Context, opts PruneOptions) (PruneReport, error) {
	if opts.Keep < 0 || opts.MaxSize < 0 || opts.CacheMaxSize < 0 || opts.MaxAge < 0 ||
		opts.MaxDiskUse < 0 || opts.MaxDiskUse > 1 {
		return PruneReport{}, fmt.Errorf("%w: neither a number of images, a size nor an age can "+
			"be below 0, and the part of a disk is from 0 to 1", ErrInvalidInput)
	}
	s, err := o.survey(ctx)
	if err != nil {
		return PruneReport{}, err
	}
	p := retention.Policy{Keep: cmp.Or(opts.Keep, DefaultKeep), MaxSize: opts.MaxSize,
		MaxAge: opts.MaxAge, MaxDiskUse: opts.MaxDiskUse, Now: time.Now(), DryRun: opts.DryRun}
	done, err := s.Prune(ctx, p)
	report := pruneReport(done, opts.DryRun)
	if err != nil {
		return report, err
	}
	report.BuildCache, err = s.Dir.TrimBuildCaches(ctx, cache.Limits{Keep: DefaultCacheKeep,
		MaxSize: s.BoundCaches(p, cmp.Or(opts.CacheMaxSize, DefaultCacheMaxSize)),
		DryRun:  opts.DryRun})
	return report, err
}

// Disk is a file system, in bytes.
type Disk struct {
	// Path is a folder on it.
	Path string `json:"path"`
	// Images reports whether the images lie there. Otherwise the disk of the engine cannot be seen
	// from here, and this is that of the cache folder.
	Images bool `json:"images"`
	// Free is what an unprivileged user may write, and Total that on an empty disk.
	Free  int64 `json:"free"`
	Total int64 `json:"total"`
}

// Use returns the part of the disk that is in use, from 0 to 1.
func (d Disk) Use() float64 { return diskspace.Space{Free: d.Free, Total: d.Total}.Use() }

// Disk measures the file system where the images lie. A failure is an [*Error].
func (o *Orchestrator) Disk(ctx context.Context) (Disk, error) {
	at, err := o.retention()
	if err != nil {
		return Disk{}, fail(ctx, "", err)
	}
	d, err := at.FindDisk(ctx)
	if err != nil {
		return Disk{}, fail(ctx, "", err)
	}
	return Disk{Path: d.Path, Images: d.HasImages, Free: d.Free, Total: d.Total}, nil
}

func pruneReport(done retention.Report, dryRun bool) PruneReport {
	report := PruneReport{DryRun: dryRun, Items: []PruneItem{}, Reclaimed: done.Reclaimed,
		Remaining: done.Remaining}
	for _, item := range done.Items {
		report.Items = append(report.Items, PruneItem{Built: builtOf(item.Image),
			Action: PruneAction(item.Action), Reason: item.Reason, Reclaimed: item.Reclaimed,
			Refused: item.Refused})
	}
	return report
}

// ResetOptions say what [Orchestrator.Reset] removes.
type ResetOptions struct {
	// Names are the templates. None stands for all, also those that are no longer in the catalogue.
	Names []string
	// Legacy removes what earlier tools left of the templates, and nothing else: images under names
	// of the platform's earlier local build without Pinion's labels, images without a name that
	// Pinion has built again since, and the earlier local build's clones in the cache folder.
	Legacy bool
	// ForgetAway forgets also images whose own store seems to be away: another engine answers at
	// the address, or the folder's disk is not mounted. If that store returns, they are there
	// without a record.
	ForgetAway bool
	// DryRun changes nothing and reports what would be done.
	DryRun bool
}

// Reset removes all that Pinion made for templates: their images in the current image store with
// all of Pinion's names, the records of these, and the build caches in the cache folder. What holds
// for Prune holds here too: images that a container or a build uses stay with their records, and so
// does every image that the records and the labels do not show to be Pinion's. Images of another
// isolation stay, and so do caches in a registry and those of builders.
//
// A name that neither the catalogue nor a record has is [ErrUnknownTemplate]. A failure is an
// [*Error], and the report then says what had been done.
func (o *Orchestrator) Reset(ctx context.Context, opts ResetOptions) (PruneReport, error) {
	report, err := o.reset(ctx, opts)
	if err != nil {
		return report, fail(ctx, "", err)
	}
	return report, nil
}

func (o *Orchestrator) reset(ctx context.Context, opts ResetOptions) (PruneReport, error) {
	at, err := o.retention()
	if err != nil {
		return PruneReport{}, err
	}
	at.ForgetAway = opts.ForgetAway
	s, err := retention.Look(ctx, at)
	if err != nil {
		return PruneReport{}, err
	}
	scope, err := o.scope(ctx, s, opts.Names)
	if err != nil {
		return PruneReport{}, err
	}
	if opts.Legacy {
		found, err := s.FindLeftovers(ctx, scope)
		if err != nil {
			return PruneReport{}, err
		}
		done, clones, err := found.Remove(ctx, opts.DryRun)
		report := pruneReport(done, opts.DryRun)
		report.Clones = clones
		return report, err
	}
	done, err := s.Prune(ctx, retention.Policy{Scope: scope, DryRun: opts.DryRun})
	report := pruneReport(done, opts.DryRun)
	if err != nil {
		return report, err
	}
	report.BuildCache, err = s.Dir.DropBuildCaches(ctx, s.Lines(scope), opts.DryRun)
	return report, err
}

// scope returns the scope of the templates with these names.
func (o *Orchestrator) scope(
	ctx context.Context, s *retention.Survey, names []string,
) (scope retention.Scope, err error) {
	catalogue := o.current.Load().catalogue
	for _, name := range names {
		scope.Names = append(scope.Names, name)
		switch t, err := catalogue.Template(name); {
		case err == nil:
			scope.Images = append(scope.Images, t.Image)
		case !s.Records(name):
			return scope, fail(ctx, name, err)
		}
	}
	return scope, nil
}

// DiskUsage is the space used by the images that Pinion built into the current image store, in
// bytes as the store counts. What several images of a folder share counts once in each sum, and
// with each of them in an engine.
type DiskUsage struct {
	// Templates in the order of their newest image.
	Templates []TemplateUsage `json:"templates"`
	// Unverified is the number of images that unfinished builds left behind; all of them can be
	// pruned.
	Unverified int `json:"unverified"`
	// Size of all of it, and what [Orchestrator.Prune] would remove of it by default.
	Size        int64 `json:"size"`
	Reclaimable int64 `json:"reclaimable"`
	// BuildCache is the size of the build caches in the cache folder, in bytes on the disk.
	BuildCache int64 `json:"build_cache"`
}

// TemplateUsage is one template's share, apart for each platform, repository or other difference of
// the recipe.
type TemplateUsage struct {
	Name       string `json:"name"`
	Repository string `json:"repository"`
	Platform   string `json:"platform"`
	// Trees reports whether these are images of working trees.
	Trees bool `json:"working_trees,omitempty"`
	// PullRequest is the number of the pull request that these are images of; 0 for a branch.
	PullRequest int `json:"pull_request,omitempty"`
	Images      int `json:"images"`
	// InUse counts the images that containers use, running or not.
	InUse       int   `json:"in_use"`
	Size        int64 `json:"size"`
	Reclaimable int64 `json:"reclaimable"`
}

// DiskUsage measures the images. It takes no lock, so a build under way may count as left behind. A
// failure is an [*Error].
func (o *Orchestrator) DiskUsage(ctx context.Context) (DiskUsage, error) {
	s, err := o.survey(ctx)
	if err != nil {
		return DiskUsage{}, fail(ctx, "", err)
	}
	got := s.Usage(DefaultKeep)
	u := DiskUsage{Templates: []TemplateUsage{}, Unverified: got.Unverified, Size: got.Size,
		Reclaimable: got.Reclaimable}
	for _, line := range got.Families {
		u.Templates = append(u.Templates, TemplateUsage(line))
	}
	if _, u.BuildCache, err = s.Dir.BuildCaches(); err != nil {
		return DiskUsage{}, fail(ctx, "", err)
	}
	return u, nil
}

// retention returns where the images and the records are.
func (o *Orchestrator) retention() (retention.Config, error) {
	store, err := o.store()
	if err != nil {
		return retention.Config{}, imagestore.StoreFailure(err)
	}
	dir, err := o.records()
	from := o.current.Load()
	return retention.Config{Store: store, Dir: dir, Owner: o.owner, Measure: o.space,
		Isolation: o.settings.isolation, Current: from.sources(), Pulls: from.pullRules()}, err
}

// survey looks at all images and records.
func (o *Orchestrator) survey(ctx context.Context) (*retention.Survey, error) {
	at, err := o.retention()
	if err != nil {
		return nil, err
	}
	return retention.Look(ctx, at)
}
