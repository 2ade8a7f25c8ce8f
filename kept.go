package pinion

import "sync"

// kept opens something when it is first needed and keeps it. A failure is not kept, and neither is
// what no longer holds: the next caller tries again. A nil holds means always.
func kept[T any](open func() (T, error), holds func(T) bool) func() (T, error) {
	var mu sync.Mutex
	var value T
	opened := false
	return func() (T, error) {
		mu.Lock()
		defer mu.Unlock()
		if opened && (holds == nil || holds(value)) {
			return value, nil
		}
		v, err := open()
		value, opened = v, err == nil
		return v, err
	}
}
