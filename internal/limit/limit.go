// Package limit has time limits that options and environment variables set. A value that makes no
// sense is reported when the limit is used, and not when it is read.
package limit

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Limit is a time limit. A Duration of 0 means none.
type Limit struct {
	time.Duration
	// Err says why the value makes no sense; nil if it does.
	Err error
}

// Of returns a limit of that duration. The name is for the error.
func Of(name string, d time.Duration) Limit {
	if d < 0 {
		return Limit{Err: fmt.Errorf("%s of %s is below 0", name, d)}
	}
	return Limit{Duration: d}
}

// FromEnv reads a limit from the first of two variables that is set and not blank. The first has a
// duration with its unit, the second seconds. ok is false if both are unset or blank.
func FromEnv(lookup func(string) (string, bool), durations, seconds string) (l Limit, ok bool) {
	if v := value(lookup, durations); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil || d < 0 {
			return invalid(durations, v, "a duration such as 20m"), true
		}
		return Limit{Duration: d}, true
	}
	if v := value(lookup, seconds); v != "" {
		n, err := strconv.ParseUint(v, 10, 31)
		if err != nil {
			return invalid(seconds, v, "whole seconds such as 1200"), true
		}
		return Limit{Duration: time.Duration(n) * time.Second}, true
	}
	return Limit{}, false
}

func value(lookup func(string) (string, bool), name string) string {
	if v, ok := lookup(name); ok {
		return strings.TrimSpace(v)
	}
	return ""
}

func invalid(name, value, form string) Limit {
	return Limit{Err: fmt.Errorf("%s=%q: give %s, or 0 for no limit", name, value, form)}
}
