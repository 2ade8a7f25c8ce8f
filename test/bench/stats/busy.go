package stats

import (
	"fmt"
	"time"
)

// quiet is the greatest share of the processors' time at which a machine counts as quiet.
const quiet = 0.10

// Disturbed reports whether other work ran on the machine when the run began.
func (m Machine) Disturbed() bool { return m.Busy > quiet }

// busy returns the share of the processors' time that was used while it watched; 0 if the system
// does not tell.
func busy(watch time.Duration) float64 {
	before := readTicks()
	time.Sleep(watch)
	return readTicks().since(before)
}

// ticks are what the processors have had since the system was started.
type ticks struct{ idle, all int64 }

// readTicks reads proc_stat(5).
func readTicks() (t ticks) {
	var user, nice, system, idle, wait, irq, soft, steal int64
	_, _ = fmt.Sscanf(firstLine("/proc/stat"), "cpu %d %d %d %d %d %d %d %d", &user, &nice, &system,
		&idle, &wait, &irq, &soft, &steal) // zeros, if the system has none
	return ticks{idle + wait, user + nice + system + idle + wait + irq + soft + steal}
}

func (t ticks) since(before ticks) float64 {
	if t.all == before.all {
		return 0
	}
	return 1 - float64(t.idle-before.idle)/float64(t.all-before.all)
}
