package retention

import "git.moleculesai.app/molecule-ai/pinion/internal/recipe"

// Usage is the space that the images in one store use, in bytes as the store counts. What several
// images share counts once in each sum, if the store tells.
type Usage struct {
	// Families are in the order of their newest image.
	Families []FamilyUsage
	// Unverified is the number of images that unfinished builds left behind.
	Unverified int
	// Size is all images', and Reclaimable what is free after a policy has removed some.
	Size, Reclaimable int64
}

// FamilyUsage is the part of one family: one template, on one platform, of one repository.
type FamilyUsage struct {
	Name, Repository, Platform string
	// Trees reports whether these are images of working trees.
	Trees bool
	// PullRequest is the number of the pull request that they were built of, 0 for a branch.
	PullRequest int
	// Images counts all images, and InUse those that a container uses, running or not.
	Images, InUse     int
	Size, Reclaimable int64
}

// Usage measures what is there. Reclaimable is what is free if the first keep images of each family
// stay. A build under way may count as left behind, since Look takes no lock.
func (s *Survey) Usage(keep int) Usage {
	goes := func(h *holding) bool {
		return h.isTemporary() || h.isInStore() && s.goes(h, keep) &&
			s.user(h) == ""
	}
	u := Usage{Families: []FamilyUsage{}, Reclaimable: s.freedBy(goes),
		Size: s.sizeOf(func(h *holding) bool { return h.isTemporary() || h.isInStore() })}
	families, leftovers := map[recipe.Family]int{}, s.freedBy((*holding).isTemporary)
	for _, h := range s.holdings {
		switch {
		case h.isTemporary():
			u.Unverified++
			continue
		case !h.isInStore():
			continue
		}
		i, known := families[h.family]
		if !known {
			i = len(u.Families)
			families[h.family] = i
			of := func(other *holding) bool { return other.isInStore() && other.family == h.family }
			u.Families = append(u.Families, FamilyUsage{Name: h.Name,
				Repository: h.record.Repository, Platform: h.Platform, Trees: h.Tree != "",
				PullRequest: h.family.PullRequest, Size: s.sizeOf(of),
				Reclaimable: s.freedBy(func(other *holding) bool {
					return other.isTemporary() || of(other) && goes(other)
				}) - leftovers})
		}
		u.Families[i].Images++
		if s.user(h) != "" {
			u.Families[i].InUse++
		}
	}
	return u
}

// goes reports whether the number of images, or the end of a pull request, removes the image.
func (s *Survey) goes(h *holding, keep int) bool {
	return h.closed || h.rank >= s.keepOf(h, keep)
}
