package pinion

import "context"

// DiskUsage is what the images take that Pinion built into the current image store, in bytes as the
// store counts them. Layers that several images share count with each of them.
type DiskUsage struct {
	// Templates in the order of their newest image.
	Templates []TemplateUsage `json:"templates"`
	// Unverified are images that builds left behind which did not finish; all of them can be
	// pruned.
	Unverified int `json:"unverified"`
	// Size of all of it, and what [Orchestrator.Prune] would remove of it by default.
	Size        int64 `json:"size"`
	Reclaimable int64 `json:"reclaimable"`
	// BuildCache is what the build caches in the cache folder take, in bytes on the disk.
	BuildCache int64 `json:"build_cache"`
}

// TemplateUsage is one template's share, apart for each platform, repository or other difference of
// the recipe.
type TemplateUsage struct {
	Name       string `json:"name"`
	Repository string `json:"repository"`
	Platform   string `json:"platform"`
	// Trees says that these are of working trees.
	Trees  bool `json:"working_trees,omitempty"`
	Images int  `json:"images"`
	// InUse counts the images that containers use, running or not.
	InUse       int   `json:"in_use"`
	Size        int64 `json:"size"`
	Reclaimable int64 `json:"reclaimable"`
}

// DiskUsage measures. It takes no lock, so a build that is under way may count as left behind. A
// failure is an [*Error].
func (o *Orchestrator) DiskUsage(ctx context.Context) (DiskUsage, error) {
	s, err := o.survey(ctx)
	if err != nil {
		return DiskUsage{}, fail(ctx, "", err)
	}
	u := s.usage()
	if _, u.BuildCache, err = s.dir.BuildCaches(); err != nil {
		return DiskUsage{}, fail(ctx, "", err)
	}
	return u, nil
}

func (s *survey) usage() DiskUsage {
	u := DiskUsage{Templates: []TemplateUsage{}}
	lines := map[string]int{}
	counted := map[string]bool{}
	for _, h := range s.holdings {
		var free int64
		switch {
		case h.temporary():
			u.Unverified++
			// The build may have got as far as giving the image its own name too.
			if counted[h.ImageID] {
				continue
			}
			free = h.Size
		case h.counts():
			i, known := lines[h.line]
			if !known {
				i = len(u.Templates)
				lines[h.line] = i
				u.Templates = append(u.Templates,
					TemplateUsage{Name: h.Name, Repository: h.record.Repository,
						Platform: h.Platform, Trees: h.Tree != ""})
			}
			free = u.Templates[i].add(h, s.user(h) != "")
		default:
			continue
		}
		counted[h.ImageID] = true
		u.Size += h.Size
		u.Reclaimable += free
	}
	return u
}

// add counts an image, and returns what of it can be reclaimed.
func (t *TemplateUsage) add(h *holding, used bool) (free int64) {
	t.Images++
	t.Size += h.Size
	switch {
	case used:
		t.InUse++
	case h.rank >= DefaultKeep:
		free = h.Size
	}
	t.Reclaimable += free
	return free
}
