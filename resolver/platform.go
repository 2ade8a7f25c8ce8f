package resolver

import (
	"fmt"

	"github.com/containerd/platforms"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// ParsePlatform reads os/arch[/variant] and returns its normal form, in which arm64/v8 is arm64. It
// does not take "native". The error is an ErrInvalidInput.
func ParsePlatform(s string) (ocispecs.Platform, error) {
	p, err := platforms.Parse(s)
	if err != nil {
		return p, fmt.Errorf("%w: platform %q: %w (write os/arch[/variant], for example "+
			"linux/arm64, or native)", ErrInvalidInput, s, err)
	}
	return platforms.Normalize(p), nil
}

// SamePlatform reports whether two platforms are the same in their normal forms. A text that is no
// platform is the same as none.
func SamePlatform(a, b string) bool {
	p, errA := platforms.Parse(a)
	q, errB := platforms.Parse(b)
	return errA == nil && errB == nil && platforms.OnlyStrict(q).Match(p)
}
