//go:build !failpoints

package failpoint

import "context"

// At returns err.
func At(_ context.Context, _ Point, err error) error { return err }
