package recipe

// Source is what a template's images come from, whatever the commit.
type Source struct{ Repository, Image, Form string }

// Source returns what the recipe's image comes from.
func (r Recipe) Source() Source { return Source{r.Repository, r.Image, r.form} }

// Family is what images have in common that are versions of the same thing. It is the line without
// the labels that callers asked for: a label with the number of a CI run makes a line for each run.
type Family struct {
	Source
	Platform, Provenance string
	Trees                bool // images of working trees
	PullRequest          int  // of its number, 0 for images of the branch
}

// CacheScope returns what keeps apart what builds of the recipe's pull request leave at a builder,
// "" for a branch.
func (r Recipe) CacheScope() string {
	if r.PullRequest == 0 {
		return ""
	}
	return "pull-" + r.WithLabels(nil).Line()[:12]
}

// Family returns the family of the recipe's image.
func (r Recipe) Family() Family {
	return Family{r.Source(), r.Platform, r.Provenance, r.Tree != "", r.PullRequest}
}
