package watch

import (
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/server"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// head is what a branch or a tag points to.
type head struct {
	revision git.Revision
	digest   string // of a manifest, for a tag
}

// String returns a short form.
func (h head) String() string {
	if h.digest != "" {
		return h.digest
	}
	return h.revision.Short()
}

// template is the state of a followed template.
type template struct {
	// since is when it was first followed.
	since time.Time
	// isKnown reports whether the builds of earlier processes were asked about the head.
	isKnown bool
	// behind is when a head was found that needs a build, zero if the last one needs none; guarded
	// by the repo's mu. newest is that head.
	behind time.Time
	newest head
	// finalHead is the head that needs no build any more.
	finalHead head
	// build is the watcher's build in progress, of current; nil if there is none.
	build   server.Call
	current head
	// failedHead is the head whose builds failed for a reason that may pass, failures how often in
	// a row, timeouts how many of them took too long, and retryAt when it is built again.
	failedHead         head
	failures, timeouts int
	retryAt            time.Time
}

// maxTimeouts is the number of builds of one head that may take too long. Each takes a place of the
// queue for minutes or more, and another try is unlikely to end.
const maxTimeouts = 2

// isHopeless counts a failure of the revision, and reports whether a retry is not worth its time.
// The watcher's own interest keeps a build, so one that is cancelled was cancelled by an operator.
func (t *template) isHopeless(class pinion.Class) bool {
	if t.failedHead != t.current {
		t.failedHead, t.failures, t.timeouts = t.current, 0, 0
	}
	t.failures++
	if class == pinion.ClassStalled || class == pinion.ClassTimeLimit {
		t.timeouts++
	}
	return class == pinion.ClassBuild || class == pinion.ClassCancelled ||
		t.timeouts >= maxTimeouts
}
