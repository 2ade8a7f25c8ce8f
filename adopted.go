package pinion

import "context"

// reasonAdopted is the reason of a build that came to the image which had the name before, though
// no record vouched for it: one that bake made, or one whose record is lost.
const reasonAdopted = "adopted"

// named is the ID of the image that has the recipe's name, though nothing vouches for it; empty if
// none has, nobody can tell, or something else than that is why the image is built.
func (j *job) named(ctx context.Context, miss string) string {
	if miss != missNoImage && miss != j.notOurs() {
		return ""
	}
	img, err := j.store.Inspect(ctx, j.recipe.reference())
	if err != nil {
		return "" // the build finds out by itself what is wrong with the store
	}
	return img.ID
}

// reason is why it was built, now that it is known what had the name before and after.
func reason(miss, before, after string) string {
	if before == after {
		return reasonAdopted
	}
	return miss
}
