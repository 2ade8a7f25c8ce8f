// Package failpoint lets tests fail, delay or kill the process between two steps of its work.
//
// It acts only in builds with the tag "failpoints". In any other build, [At] returns the error that
// it is given and is compiled away: nothing in the environment is read, and the program has no name
// of a point. It does not guarantee that two points are passed by the same process.
package failpoint

// Point is a place between two steps.
type Point string

// The points, in the order in which a build passes them.
const (
	// LookedUp: the git server has returned the commit; nothing is verified or locked yet.
	LookedUp Point = "looked-up"
	// Locked: the key's lock is held.
	Locked Point = "locked"
	// Fetched: the commit is on the builder and was inspected; the build still has the credential.
	Fetched Point = "fetched"
	// Solved: the Dockerfile has been built; nothing is exported yet.
	Solved Point = "solved"
	// Loading: a layer was written to the engine and the archive has not ended, or the engine pulls
	// and waits for a layer.
	Loading Point = "loading"
	// Delivered: the image is in the store under its temporary name.
	Delivered Point = "delivered"
	// Verified: it is the image that was built; it does not have its own name yet.
	Verified Point = "verified"
	// Tagged: it has its own name beside the temporary one.
	Tagged Point = "tagged"
	// Recorded: the record is written; the call has yet to return.
	Recorded Point = "recorded"
)

// Points returns the points in their order.
func Points() []Point {
	return []Point{LookedUp, Locked, Fetched, Solved, Loading, Delivered, Verified, Tagged,
		Recorded}
}

// Env is the variable that a build with failpoints reads, for tests only. It is a list of
// "point=action" with commas. An action is error, delay:DURATION (as time.ParseDuration reads it)
// or kill. A point with an action prints "failpoint POINT: ACTION" to stderr.
const Env = "PINION_FAILPOINTS"
