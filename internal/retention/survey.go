// Package retention finds the images that Pinion built into one store, and removes those that are
// no longer needed.
//
// An image is removed by Pinion's own names alone, never by force, and only if a record, the names,
// the image ID and the labels agree. An engine cannot remove a name on the condition that it still
// has the same meaning, so a tag that another program moves between the last check and the removal
// loses that name.
package retention

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/diskspace"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/docker"
	"git.moleculesai.app/molecule-ai/pinion/internal/recipe"
)

// Image is an image that Pinion built.
type Image struct {
	Name, Reference, ID string
	// Revision is the commit, or "" for a working tree, whose digest is Tree.
	Revision, Tree string
	// PullRequest is the number of the pull request that it was built of, 0 for a branch.
	PullRequest int
	Platform    string
	Size        int64 // bytes, as the store counts
	BuiltAt     time.Time
}

// Config is where images and records are.
type Config struct {
	Store imagestore.Store
	Dir   *cache.Dir
	// Measure measures the file system of a path.
	Measure func(path string) (diskspace.Space, error)
	// Owner is part of the temporary names that this user's builds give.
	Owner string
	// Isolation is the token of the images to consider, "" for those without one. All others are
	// left alone.
	Isolation string
	// Current are the sources of the templates that can be requested; nil stands for all. Of other
	// templates nothing must stay.
	Current map[recipe.Source]bool
	// Pulls are the rules for images of pull requests, by what they come from. Of a source without
	// a rule none stays. With nil the rules are not known.
	Pulls map[recipe.Source]PullRule
	// ForgetAway treats an image whose own store is away as one that is missing.
	ForgetAway bool
}

// state is what has become of a recorded image.
type state int

const (
	intact  state = iota // under its name, with its labels
	missing              // no longer in the store
	lost                 // with its labels, but its name is gone or names another image
	foreign              // not as recorded, and so left alone
)

// holding is an image of Pinion's by a record or by a temporary name, and what was decided about
// it.
type holding struct {
	Item
	key        string
	record     cache.Record // zero for a temporary name
	family     recipe.Family
	state      state
	oddity     string // why the state is lost or foreign, human-readable
	rank       int    // place among the intact images of the family, 0 is the first
	precedence int
	closed     bool // of a pull request that was closed
	replaced   bool // a later build of the same recipe has its names
	tags       []string
	shares     map[string]int64 // see parts; nil if the store does not tell
}

func (h *holding) isTemporary() bool { return h.record.Key == "" }

// isInStore reports whether the image is in the store under its own name, and was not removed.
func (h *holding) isInStore() bool {
	return h.state == intact && !h.isTemporary() && h.Action != Removed
}

// onlyHas reports whether the image has no name but these, so that it goes with them.
func (h *holding) onlyHas(names ...string) bool {
	return !slices.ContainsFunc(h.tags, func(tag string) bool {
		return !slices.Contains(names, tag)
	})
}

// Survey is everything of Pinion's in one store, the newest first.
type Survey struct {
	Config
	records  []cache.Record // of all stores and isolations
	holdings []*holding
	users    map[string]string   // digest of an image to a container that uses it
	ids      map[string][]string // reference to the IDs of its recorded images
	storeID  string
	found    bool // a recorded image is in the store
}

// Look inspects every recorded image. It takes no lock and changes nothing.
func Look(ctx context.Context, c Config) (*Survey, error) {
	recs, err := c.Dir.All()
	if err != nil {
		return nil, err
	}
	s := &Survey{Config: c, records: recs, users: map[string]string{},
		ids: map[string][]string{}}
	for _, rec := range recs {
		s.ids[rec.Reference] = append(s.ids[rec.Reference], rec.ImageID)
	}
	if err := s.look(ctx, recs); err != nil {
		return nil, imagestore.StoreFailure(err)
	}
	return s, nil
}

func (s *Survey) look(ctx context.Context, recs []cache.Record) error {
	info, err := s.Store.Info(ctx)
	if err != nil {
		return err
	}
	s.storeID = info.ID
	if s.holdings, err = forEach(ctx, s.ofThisStore(recs, info.Kind), s.inspect); err != nil {
		return err
	}
	s.found = slices.ContainsFunc(s.holdings, func(h *holding) bool { return h.state != missing })
	for _, h := range s.holdings {
		s.checkAway(h)
	}
	s.rank()
	if err := s.findReplaced(ctx, info.Kind); err != nil {
		return err
	}
	if err := s.findTemporaries(ctx); err != nil {
		return err
	}
	return s.findUsers(ctx)
}

// ofThisStore returns the records that the survey is about. An engine that was switched to its
// other store still has the images of the first.
func (s *Survey) ofThisStore(recs []cache.Record, kind imagestore.Kind) []cache.Record {
	return slices.DeleteFunc(slices.Clone(recs), func(rec cache.Record) bool {
		return rec.Store != s.Store.Endpoint() || rec.StoreKind != string(kind) ||
			rec.Isolation != s.Isolation
	})
}

// checkAway keeps the record of an image that is missing because its store is away: its disk is not
// mounted, or another engine answers at the address. The store's ID tells. Of records without one
// it is taken for granted if none of the recorded images is there.
func (s *Survey) checkAway(h *holding) {
	id := h.record.StoreID
	away := id != "" && id != s.storeID || id == "" && !s.found
	if h.state == missing && away && !s.ForgetAway {
		h.state, h.oddity = foreign, "it is not in this store, and its own store seems to be away"
	}
}

// inspect returns what has become of a record's image.
func (s *Survey) inspect(ctx context.Context, rec cache.Record) (*holding, error) {
	h := &holding{key: rec.Key, record: rec, Item: Item{Image: imageOf(rec)}}
	r, ours := recipe.FromRecord(rec)
	h.family = r.Family()
	if !ours {
		h.state, h.oddity = foreign, "its record has a name that Pinion does not give"
		return h, nil
	}
	img, err := s.Store.Inspect(ctx, rec.Reference)
	switch {
	case errors.Is(err, imagestore.ErrNotFound):
		return h, s.inspectID(ctx, h, r, "the image has lost its name, and asking for it "+
			"again gives it back")
	case errors.Is(err, imagestore.ErrUnreadable):
		h.state, h.oddity = foreign, err.Error()
		return h, nil
	case err != nil:
		return nil, err
	case img.ID != rec.ImageID && slices.Contains(s.ids[rec.Reference], img.ID):
		// A later build of another recipe has the name, so nothing leads to this image any more.
		h.state = missing
		return h, nil
	case img.ID != rec.ImageID:
		return h, s.inspectID(ctx, h, r, rec.Reference+" names another image now")
	}
	h.describe(img, r)
	return h, nil
}

// describe notes the image of a recipe, which is foreign if it lacks one of the recipe's labels.
func (h *holding) describe(img imagestore.Image, r recipe.Recipe) {
	h.Size, h.tags, h.shares = img.Size, img.Tags, img.Parts
	labels := r.Labels()
	labels[recipe.LabelRecipe] = "sha256:" + h.key
	for label, want := range labels {
		if got := img.Labels[label]; got != want {
			h.state = foreign
			h.oddity = fmt.Sprintf("it has the label %s=%q, not %q", label, got, want)
		}
	}
}

// inspectID distinguishes a missing image from one that its name does not lead to.
func (s *Survey) inspectID(
	ctx context.Context, h *holding, r recipe.Recipe, oddity string,
) error {
	img, err := s.Store.Inspect(ctx, h.ID)
	switch {
	case errors.Is(err, imagestore.ErrNotFound), err == nil && img.ID != h.ID:
		h.state = missing
	case errors.Is(err, imagestore.ErrUnreadable):
		h.state, h.oddity = foreign, err.Error()
	case err != nil:
		return err
	default:
		h.state, h.oddity = lost, oddity
		h.describe(img, r)
	}
	return nil
}

// findTemporaries adds the names that builds of this owner left behind, including those that the
// engine pulled by.
func (s *Survey) findTemporaries(ctx context.Context) error {
	images, err := s.Store.List(ctx, recipe.LabelRecipe)
	if err != nil {
		return err
	}
	for _, img := range images {
		for _, tag := range img.Tags {
			if h := s.temporary(img, tag); h != nil {
				s.holdings = append(s.holdings, h)
			}
		}
	}
	return nil
}

// temporary returns nil unless the tag is a temporary name of this owner for that image. The name
// holds a part of the key, the label all of it.
func (s *Survey) temporary(img imagestore.Image, tag string) *holding {
	name, _ := docker.CutLoopback(tag)
	repository, _, _ := strings.Cut(name, ":")
	image, ours := strings.CutPrefix(repository, recipe.Namespace)
	key := strings.TrimPrefix(img.Labels[recipe.LabelRecipe], "sha256:")
	of := recipe.Recipe{Image: image, Isolation: s.Isolation}
	if !ours || len(key) < 12 || name != of.TemporaryOf(key, s.Owner) {
		return nil
	}
	return &holding{key: key, tags: img.Tags, shares: img.Parts, Item: Item{Image: Image{
		Name: image, Reference: tag, ID: img.ID, Revision: img.Labels[recipe.LabelRevision],
		Tree: img.Labels[recipe.LabelTree], Size: img.Size, BuiltAt: img.Created,
	}}}
}

func (s *Survey) findUsers(ctx context.Context) error {
	uses, err := s.Store.Uses(ctx)
	if err != nil {
		return err
	}
	for _, u := range uses {
		for _, id := range u.Images {
			s.users[id] = u.Container
		}
	}
	return nil
}

// user returns a container that uses the image, or "". Which of the image's digests a container
// shows depends on the engine's version and store.
func (s *Survey) user(h *holding) string {
	for _, id := range []string{h.ID, h.record.ManifestDigest, h.record.ConfigDigest} {
		if name := s.users[id]; id != "" && name != "" {
			return name
		}
	}
	return ""
}

// imageOf returns what a record says about its image. The size is the store's to say.
func imageOf(rec cache.Record) Image {
	return Image{Name: rec.Name, Reference: rec.Reference, ID: rec.ImageID,
		Revision: rec.Revision, Tree: rec.Tree, PullRequest: rec.PullRequest,
		Platform: rec.Platform, BuiltAt: rec.BuiltAt}
}
