package docker

import (
	"time"
)

// SetStallAfter makes the engine's client less patient with a pull.
func (e *Engine) SetStallAfter(d time.Duration) { e.stallAfter = d }
