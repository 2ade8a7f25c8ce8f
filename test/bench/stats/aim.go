package stats

import "time"

// Aim is what a result should reach. A zero field is no aim.
type Aim struct {
	Ratio float64 `json:"ratio,omitempty"` // of Pinion's time to the peer's, at most
	Rate  float64 `json:"rate,omitempty"`  // answers a second, at least
	// Beyond is the most that the p99 of Pinion's answers may be above that of the git server's.
	Beyond time.Duration `json:"beyond_ns,omitempty"`
}
