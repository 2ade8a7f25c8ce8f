package pinion

import "context"

// reasonAdopted is the reason of a build that came to the image which had the name before, though no record vouched
// for it: one that bake made, or one whose record is lost.
const reasonAdopted = "adopted"

// named is the ID of the image that has the recipe's name; empty if none has, or nobody can tell.
func (j *job) named(ctx context.Context) string {
	img, err := j.store.Inspect(ctx, j.recipe.reference())
	if err != nil {
		return "" // the build finds out by itself what is wrong with the store
	}
	return img.ID
}

// reason is why it was built, now that it is known what had the name before and after.
func (j *job) reason(miss, before, after string) string {
	if before == after && (miss == missNoImage || miss == j.notOurs()) {
		return reasonAdopted
	}
	return miss
}
