package buildkit_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/containerd/platforms"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

func TestForeignPlatform(t *testing.T) { onBuilders(t, foreignPlatform) }

// foreignPlatform: an image for a platform that the builder does not run is built, unless a step
// runs a program of that platform.
func foreignPlatform(t *testing.T, b *bench) {
	const foreign, own = "linux/s390x", "linux/amd64"
	for i, c := range []struct {
		name, platform string
		lines          string
		want           error
	}{
		{"nothing is run", foreign, "COPY foreign /", nil},
		{"what runs is of the builder's platform", foreign,
			"COPY busybox /bin/sh\nRUN echo hi", nil},
		{"a shell", foreign, "COPY foreign /bin/sh\nRUN echo hi", buildkit.ErrPlatform},
		{"a shell of a wrong platform", own, "COPY foreign /bin/sh\nRUN echo hi",
			buildkit.ErrBuild},
		{"a program of a wrong platform", own, "COPY foreign /x\nRUN [\"/x\"]",
			buildkit.ErrBuild},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := partstest.BusyboxTemplate(t)
			files[0] = parts.Text("Dockerfile", "FROM scratch\n"+c.lines+"\n")
			files = append(files, foreignProgram(files[1]))
			req := b.template(t, fmt.Sprintf("foreign%d", i), files...)
			req.Platform = platforms.MustParse(c.platform)
			_, _, err := solve(t, b, req)
			if (err == nil) != (c.want == nil) || !errors.Is(err, c.want) {
				t.Fatalf("error is %v, want the kind %v", err, c.want)
			}
			if c.want == buildkit.ErrPlatform { //nolint:errorlint // the table's own
				wantError(t, err, c.want, "cannot run linux/s390x", "Dockerfile:3")
				wantSituation(t, err, errdef.PlatformUnsupported, "s390x")
			}
		})
	}
}

// foreignProgram is a program for s390x, as far as the kernel looks at it.
func foreignProgram(own parts.File) parts.File {
	const machine, s390 = 18, 22 // the place in an ELF header, and a value there
	body := slices.Clone(own.Data)
	body[machine] = s390
	return parts.Program("foreign", body)
}
