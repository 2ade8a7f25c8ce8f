package pinion

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/cache"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/docker"
)

// found is what has become of a recorded image.
type found int

const (
	foundIntact found = iota // under its name, with its labels
	foundGone
	foundOdd // something else, and so to be left alone
)

// holding is an image of ours by a record, or by a temporary name, and what is decided about it.
type holding struct {
	PruneItem
	key    string
	record cache.Record // zero where a temporary name is all there is
	line   string
	found  found
	odd    string // why it is foundOdd
	rank   int    // its place among the intact images of its line, the newest is 0
	tags   []string
}

func (h *holding) temporary() bool { return h.record.Key == "" }

// counts says that it is an image of ours that is in the store, under its own name and not removed.
func (h *holding) counts() bool {
	return h.found == foundIntact && !h.temporary() && h.Action != PruneRemoved
}

func (h *holding) keep(reason string) { h.Action, h.Reason = PruneKept, reason }

// survey is all that Pinion has in the current store, the newest first.
type survey struct {
	store    store
	dir      *cache.Dir
	owner    string
	holdings []*holding
	users    map[string]string // digest of an image to the name of a container that uses it
}

// survey looks at every recorded image. It takes no lock and changes nothing.
func (o *Orchestrator) survey(ctx context.Context) (survey, error) {
	st, err := o.store()
	if err != nil {
		return survey{}, storeError(err)
	}
	dir, err := o.records()
	if err != nil {
		return survey{}, err
	}
	recs, err := dir.All()
	if err != nil {
		return survey{}, err
	}
	info, err := st.Info(ctx)
	if err != nil {
		return survey{}, storeError(err)
	}
	s := survey{store: st, dir: dir, owner: o.owner, users: map[string]string{}}
	ranks := map[string]int{}
	for _, rec := range recs {
		// An engine that was switched to its other store still has the images of the first.
		if rec.Store != st.Endpoint() || rec.StoreKind != string(info.Kind) {
			continue
		}
		h, err := s.look(ctx, rec)
		if err != nil {
			return survey{}, storeError(err)
		}
		if h.found == foundIntact {
			h.rank = ranks[h.line]
			ranks[h.line]++
		}
		s.holdings = append(s.holdings, h)
	}
	if err := s.temporaries(ctx); err != nil {
		return survey{}, storeError(err)
	}
	return s, storeError(s.containers(ctx))
}

// look says what has become of a record's image.
func (s *survey) look(ctx context.Context, rec cache.Record) (*holding, error) {
	h := &holding{key: rec.Key, record: rec, line: rec.Line, PruneItem: PruneItem{Built: Built{
		Name: rec.Name, Reference: rec.Reference, ImageID: rec.ImageID, Revision: rec.Revision,
		Tree:     rec.Tree,
		Platform: rec.Platform, BuiltAt: rec.BuiltAt,
	}}}
	r, ours := recorded(rec)
	if !ours {
		h.found, h.odd = foundOdd, "its record has a name that Pinion does not give"
		return h, nil
	}
	img, err := s.store.Inspect(ctx, rec.Reference)
	switch {
	case errors.Is(err, imagestore.ErrNotFound):
		return h, s.lookByID(ctx, h,
			"the image has lost its name, and asking for it again gives it back")
	case err != nil:
		return nil, err
	case img.ID != rec.ImageID:
		return h, s.lookByID(ctx, h, rec.Reference+" names another image now")
	}
	h.Size, h.tags = img.Size, img.Tags
	labels := r.labels()
	labels[LabelRecipe] = "sha256:" + rec.Key
	for label, want := range labels {
		if img.Labels[label] != want {
			h.found, h.odd = foundOdd, fmt.Sprintf("it has the label %s=%q, not %q", label,
				img.Labels[label], want)
		}
	}
	return h, nil
}

// lookByID tells an image that has gone from one that the name does not lead to.
func (s *survey) lookByID(ctx context.Context, h *holding, odd string) error {
	img, err := s.store.Inspect(ctx, h.ImageID)
	switch {
	case errors.Is(err, imagestore.ErrNotFound), err == nil && img.ID != h.ImageID:
		h.found = foundGone
	case err != nil:
		return err
	default:
		h.found, h.odd, h.Size = foundOdd, odd, img.Size
	}
	return nil
}

// temporaries finds the names that builds of this owner left behind, those among them by which the
// engine pulled from Pinion. The name has but a part of the key; the label has all of it.
func (s *survey) temporaries(ctx context.Context) error {
	images, err := s.store.List(ctx, LabelRecipe)
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

// temporary is nil unless the tag is a temporary name of this owner for that image.
func (s *survey) temporary(img imagestore.Image, tag string) *holding {
	name, _ := docker.CutLoopback(tag)
	repository, _, _ := strings.Cut(name, ":")
	image, ours := strings.CutPrefix(repository, namespace)
	key := strings.TrimPrefix(img.Labels[LabelRecipe], "sha256:")
	if !ours || len(key) < 12 || name != (recipe{Image: image}).temporaryOf(key, s.owner) {
		return nil
	}
	return &holding{key: key, tags: img.Tags, PruneItem: PruneItem{Built: Built{
		Name: image, Reference: tag, ImageID: img.ID, Revision: img.Labels[LabelRevision],
		Tree: img.Labels[LabelTree], Size: img.Size, BuiltAt: img.Created,
	}}}
}

func (s *survey) containers(ctx context.Context) error {
	uses, err := s.store.Uses(ctx)
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

// user is a container that uses the image, or empty. Which of its digests a container names depends
// on the engine's age and store.
func (s *survey) user(h *holding) string {
	for _, id := range []string{h.ImageID, h.record.ManifestDigest, h.record.ConfigDigest} {
		if name := s.users[id]; id != "" && name != "" {
			return name
		}
	}
	return ""
}

// last says that the image has no names but ours, so that it goes with them.
func (h *holding) last(names ...string) bool {
	return !slices.ContainsFunc(h.tags, func(tag string) bool {
		return !slices.Contains(names, tag)
	})
}
