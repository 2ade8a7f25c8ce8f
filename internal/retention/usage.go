package retention

import "git.moleculesai.app/molecule-ai/pinion/internal/recipe"

// Usage is the space that the images in one store use, in bytes as the store counts. Layers that
// several images share count with each of them.
type Usage struct {
	// Families are in the order of their newest image.
	Families []FamilyUsage
	// Unverified is the number of images that unfinished builds left behind.
	Unverified int
	// Size is all images', and Reclaimable the part that a policy would remove.
	Size, Reclaimable int64
}

// FamilyUsage is the part of one family: one template, on one platform, of one repository.
type FamilyUsage struct {
	Name, Repository, Platform string
	// Trees reports whether these are images of working trees.
	Trees bool
	// Images counts all images, and InUse those that a container uses, running or not.
	Images, InUse     int
	Size, Reclaimable int64
}

// Usage measures what is there. Reclaimable is what goes if the first keep images of each family
// stay. A build under way may count as left behind, since Look takes no lock.
func (s *Survey) Usage(keep int) Usage {
	u := Usage{Families: []FamilyUsage{}}
	families := map[recipe.Family]int{}
	counted := map[string]bool{}
	for _, h := range s.holdings {
		var free int64
		switch {
		case h.isTemporary():
			u.Unverified++
			// The build may also have given the image its own name.
			if counted[h.ID] {
				continue
			}
			free = h.Size
		case h.isInStore():
			i, known := families[h.family]
			if !known {
				i = len(u.Families)
				families[h.family] = i
				u.Families = append(u.Families, FamilyUsage{Name: h.Name,
					Repository: h.record.Repository, Platform: h.Platform, Trees: h.Tree != ""})
			}
			free = u.Families[i].add(h, s.user(h) != "", keep)
		default:
			continue
		}
		counted[h.ID] = true
		u.Size += h.Size
		u.Reclaimable += free
	}
	return u
}

// add counts an image and returns how many bytes of it can be reclaimed.
func (l *FamilyUsage) add(h *holding, used bool, keep int) (free int64) {
	l.Images++
	l.Size += h.Size
	switch {
	case used:
		l.InUse++
	case h.rank >= keep:
		free = h.Size
	}
	l.Reclaimable += free
	return free
}
