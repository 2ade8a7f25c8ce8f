package verify

import (
	"git.moleculesai.app/molecule-ai/pinion/internal/recipe"
)

// Miss is the reason why there is no hit. The zero value is a hit.
type Miss struct {
	Cause Cause
	// Text is the reason in human-readable form.
	Text string
}

// IsHit reports whether there is no reason.
func (m Miss) IsHit() bool { return m == Miss{} }

// String returns the text.
func (m Miss) String() string { return m.Text }

// Cause is the kind of a miss.
type Cause string

// The causes.
const (
	CauseNew        Cause = "new"        // nothing was built of this commit
	CauseGone       Cause = "gone"       // the image is not in the image store
	CauseForeign    Cause = "foreign"    // another image has the name
	CauseDifferent  Cause = "different"  // the image is not as the recipe says
	CauseUnreadable Cause = "unreadable" // the image or the record cannot be read
	CauseAsked      Cause = "asked"      // the caller wants it so
	CauseMoving     Cause = "moving"     // a registry's tag names another image each time
)

// Causes lists all of them.
func Causes() []Cause {
	return []Cause{CauseNew, CauseGone, CauseForeign, CauseDifferent, CauseUnreadable, CauseAsked,
		CauseMoving}
}

// missNoRecord is the reason for the first build of a commit.
func missNoRecord() Miss { return Miss{CauseNew, "no image for this revision"} }

// missForeign is the reason if another image has the recipe's name.
func missForeign(r recipe.Recipe) Miss {
	return Miss{CauseForeign, r.Reference() + " names an image that was not built here"}
}
