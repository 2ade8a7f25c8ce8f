package buildkit

import (
	"errors"
	"testing"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/solver/pb"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// TestPlatformFault has what the runtimes and BuildKit say if they cannot run a program. A step's
// own words are never taken for it.
func TestPlatformFault(t *testing.T) {
	exit := errors.New("process \"/bin/sh -c x\" did not complete successfully: exit code: 1")
	op := func(arch string) error {
		return &errdefs.SolveError{Solve: &errdefs.Solve{
			Op: &pb.Op{Platform: &pb.Platform{OS: "linux", Architecture: arch}}}, Err: exit}
	}
	for _, c := range []struct {
		name     string
		platform string
		log      []string
		err      error
		want     bool
	}{
		{"runc", "linux/arm64", []string{"exec /bin/sh: exec format error"}, exit, true},
		{"runc 1.0", "linux/arm64", []string{"standard_init_linux.go:228: exec user process " +
			"caused: exec format error"}, exit, true},
		{"runc before", "linux/arm64", []string{"standard_init_linux.go:211: exec user process " +
			"caused \"exec format error\""}, exit, true},
		{"crun", "linux/arm64", []string{"exec container process `/bin/sh`: Exec format error"},
			exit, true},
		{"a variant", "linux/amd64/v4", nil, errors.New("no support for running processes with " +
			"linux/amd64/v4 platform, supported: linux/amd64, linux/amd64/v2"), true},
		{"a shell's words", "linux/arm64", []string{"/bin/sh: 1: ./x: Exec format error"}, exit,
			false},
		{"bash's words", "linux/arm64", []string{"./x: cannot execute binary file: Exec format " +
			"error"}, exit, false},
		{"after other output", "linux/arm64", []string{"hi", "exec x: exec format error"}, exit,
			false},
		{"emulated", "linux/ppc64le", []string{"exec /bin/sh: exec format error"}, exit, false},
		{"the builder's own", "linux/amd64", []string{"exec /bin/sh: exec format error"}, exit,
			false},
		{"a stage for the builder's own", "linux/arm64", []string{"exec /x: exec format error"},
			op("amd64"), false},
		{"a stage for another", "linux/amd64", []string{"exec /bin/sh: exec format error"},
			op("arm64"), true},
		{"no output", "linux/arm64", nil, exit, false},
	} {
		s := &solve{builder: &Builder{platforms: []ocispecs.Platform{
			platforms.MustParse("linux/amd64"), platforms.MustParse("linux/ppc64le")}},
			req: Request{Platform: platforms.MustParse(c.platform)}}
		s.statuses.failed = failedStep{name: "[2/2] RUN x", log: c.log}
		got := s.platformFault(c.err)
		if (got != nil) != c.want || c.want && !errors.Is(got, ErrPlatform) {
			t.Errorf("%s: got %v", c.name, got)
		}
	}
}
