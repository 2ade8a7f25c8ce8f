package buildkit

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/solver/pb"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/lazy"
)

// RequirePlatform returns an [*Error] of kind [ErrPlatform] unless the builder lists p as a
// platform that it runs, natively or emulated. A builder can also make an image for a platform that
// it does not list, as long as no step runs a program of that platform; and the BuildKit of an
// engine with the containerd store does not list what its processor can run besides, as 386 on
// amd64.
func (b *Builder) RequirePlatform(p ocispecs.Platform) error {
	if err := b.lacks(p); err != nil {
		return &Error{Op: "connect", Kind: ErrPlatform,
			Err: errdef.In(errdef.PlatformUnsupported, p.Architecture, err)}
	}
	return nil
}

// lacks returns an error that names the platforms that the builder lists, unless p is one of them.
func (b *Builder) lacks(p ocispecs.Platform) error {
	var have []string
	for _, q := range b.platforms {
		if platforms.OnlyStrict(p).Match(q) {
			return nil
		}
		if name := platforms.Format(q); !slices.Contains(have, name) {
			have = append(have, name)
		}
	}
	return fmt.Errorf("builder %s cannot run %s, only %s", b.info.Endpoint, platforms.Format(p),
		strings.Join(have, ", "))
}

// The patterns are compiled at their first use: only a failed build needs them.
var (
	// unstarted has what runtimes print in place of the output of a step whose program is for
	// another platform: runc 1.1 and later, runc 1.0 and before, and crun. What a shell says about
	// a program that the step itself starts begins with the shell's name.
	unstarted = lazy.Regexp(`^(exec .+: exec format error` +
		`|standard_init_linux\.go:\d+: exec user process caused:? "?exec format error"?` +
		`|exec container process .*: Exec format error)$`)
	// unsupported has what BuildKit says about a variant of amd64 for which it has no emulator
	// (solver/llbsolver/ops/exec_binfmt.go).
	unsupported = lazy.Regexp(`\bno support for running processes with \S+ platform, supported: `)
)

// platformFault returns an [*Error] of kind [ErrPlatform] if a step failed since the builder cannot
// run programs of its platform, otherwise nil. A program of a wrong platform on a builder that runs
// the step's own platform is the template's fault.
func (s *solve) platformFault(err error) error {
	log := s.statuses.failed.log
	cannotStart := len(log) == 1 && unstarted().MatchString(log[0])
	p := s.failedPlatform(err)
	lacks := s.builder.lacks(p)
	if !unsupported().MatchString(err.Error()) && (!cannotStart || lacks == nil) {
		return nil
	}
	var place error = s.place(err)
	if lacks != nil {
		place = fmt.Errorf("%w: %w", lacks, place)
	}
	return &Error{Op: "build", Kind: ErrPlatform,
		Err: errdef.In(errdef.PlatformUnsupported, p.Architecture, place)}
}

// failedPlatform returns the platform of the step that failed. Builders without typed errors do not
// say it; there it is the platform of the build.
func (s *solve) failedPlatform(err error) ocispecs.Platform {
	var at *pb.Platform
	if failed, ok := errors.AsType[*errdefs.SolveError](err); ok {
		at = failed.GetOp().GetPlatform()
	}
	if at.GetArchitecture() == "" {
		return s.req.Platform
	}
	return platforms.Normalize(ocispecs.Platform{OS: at.GetOS(),
		Architecture: at.GetArchitecture(), Variant: at.GetVariant()})
}
