// Package lazy opens a value at its first use, and compiles a regular expression then.
//
// It guarantees that one goroutine at a time opens the value, that a failure is not remembered, and
// that a value that has become invalid is opened again. It does not close values: a value that is
// replaced is left to the garbage collector.
package lazy

import (
	"regexp"
	"sync"
)

// Regexp returns a regular expression that is compiled when it is first called for, so that a start
// of the program that does not need it does not pay for it. It panics then if expr is invalid.
func Regexp(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

// Value is a value that is opened at its first use. It is safe for concurrent use. [New] makes one;
// the zero Value has nothing to open and must not be used.
type Value[T any] struct {
	open  func() (T, error)
	valid func(T) bool

	mu     sync.Mutex
	value  T
	opened bool
}

// New returns a Value that open opens. Before a later use, valid reports whether the value still
// holds; if it does not, open is called again. A nil valid means that the value always holds.
func New[T any](open func() (T, error), valid func(T) bool) *Value[T] {
	return &Value[T]{open: open, valid: valid}
}

// Get returns the value, and opens it if that has not been done. The error is that of open; the
// next call tries again.
func (v *Value[T]) Get() (T, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.opened && (v.valid == nil || v.valid(v.value)) {
		return v.value, nil
	}
	value, err := v.open()
	v.value, v.opened = value, err == nil
	return value, err
}
