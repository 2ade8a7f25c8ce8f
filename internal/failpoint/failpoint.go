// Package failpoint lets tests fail, delay or kill the process between two steps of its work.
//
// It is there in builds with the tag "failpoints" alone. In any other, [At] returns the error that
// it is given and is compiled away; nothing in the environment is read and no name of a point is in
// the program.
package failpoint

// Point is a place between two steps.
type Point string

// The points, in the order in which a build passes them.
const (
	// LookedUp: the git server has named the commit; nothing is verified or locked yet.
	LookedUp Point = "looked-up"
	// Locked: the key's lock is held.
	Locked Point = "locked"
	// Fetched: the commit is on the builder and was inspected; the credential is still within
	// reach.
	Fetched Point = "fetched"
	// Solved: the Dockerfile has been built; nothing is exported yet.
	Solved Point = "solved"
	// Loading: a layer was written to the engine, and the archive is not at its end; or the engine
	// pulls, and waits for a layer.
	Loading Point = "loading"
	// Delivered: the image is in the store under its temporary name.
	Delivered Point = "delivered"
	// Verified: it is the image that was built; it has not got its own name yet.
	Verified Point = "verified"
	// Tagged: it has its own name beside the temporary one.
	Tagged Point = "tagged"
	// Recorded: the record is written; all that is left is to say so.
	Recorded Point = "recorded"
)

// Points lists them in their order.
func Points() []Point {
	return []Point{LookedUp, Locked, Fetched, Solved, Loading, Delivered, Verified, Tagged,
		Recorded}
}

// Env is the variable that a build with failpoints reads, for tests only: "point=action" in a list
// with commas, an action being error, delay:DURATION (as time.ParseDuration reads it) or kill. Each
// that is met is told on stderr as "failpoint POINT: ACTION".
const Env = "PINION_FAILPOINTS"
