package pinion

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/containerd/platforms"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/docker"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

// Status of a [Check].
type Status string

// The outcomes of a check. Only a failure keeps Pinion from working.
const (
	StatusOK   Status = "ok"
	StatusWarn Status = "warning"
	StatusFail Status = "failure"
)

// Check is one finding of [Orchestrator.Doctor].
type Check struct {
	Name   string `json:"name"`
	Status Status `json:"status"`
	// Detail says what was seen; for a warning or a failure also what to do about it.
	Detail string `json:"detail"`
	// Err is the cause of a failure.
	Err error `json:"-"`
}

func ok(name, format string, args ...any) Check {
	return Check{Name: name, Status: StatusOK, Detail: fmt.Sprintf(format, args...)}
}

func warn(name, format string, args ...any) Check {
	return Check{Name: name, Status: StatusWarn, Detail: fmt.Sprintf(format, args...)}
}

func failed(name string, err error) Check {
	return Check{Name: name, Status: StatusFail, Detail: err.Error(), Err: err}
}

// lowDisk is the free space in bytes below which a template image of several GB may not fit.
const lowDisk = 10 << 30

// Doctor looks at everything that a build needs and changes nothing, except that a managed builder
// is started if it is the one to be used.
func (o *Orchestrator) Doctor(ctx context.Context) []Check {
	checks := []Check{ok("mode", "%s", o.source.Mode)}
	if o.source.Mode == resolver.ModeLocalBuild {
		checks = append(checks, o.checkToken(), o.checkGit(ctx))
	} else {
		checks[0] = ok("mode", "%s, images come from %s", o.source.Mode, o.source.Prefix)
	}
	checks = append(checks, o.checkCache())
	st, err := o.store()
	if err != nil {
		return append(checks, failed("image store", storeError(err)))
	}
	info, holds := checkStore(ctx, st)
	checks = append(checks, holds)
	if o.source.Mode == resolver.ModeLocalBuild &&
		(holds.Status != StatusFail || o.settings.addr != "" || o.settings.builder != "") {
		checks = append(checks, o.checkBuilder(ctx, st)...)
		checks = append(checks, o.checkBuildx(ctx)...)
	}
	if holds.Status != StatusFail {
		checks = append(checks, checkDisk(st.Endpoint(), info))
	}
	return checks
}

func (o *Orchestrator) checkToken() Check {
	if o.settings.token == "" {
		return ok("token", "%s is not set; public repositories need none", EnvToken)
	}
	return ok("token", "%s is set", EnvToken)
}

// checkGit asks for the first template that the catalogue has to offer; one that is not mirrored
// proves the server just as well as one that is.
func (o *Orchestrator) checkGit(ctx context.Context) Check {
	var last error
	for _, name := range o.doctorTemplates() {
		t, err := o.catalogue.Template(name)
		if err != nil {
			return failed("git server", err)
		}
		head, err := o.heads.Head(ctx, t.Remote, t.Ref, "")
		if err == nil {
			return ok("git server", "%s: %s is %s at %s", t.Remote.Host(), name, head.Ref,
				head.Revision.Short())
		}
		if last = err; !errors.Is(err, ErrNotFound) {
			break
		}
	}
	return failed("git server", last)
}

func (o *Orchestrator) doctorTemplates() []string {
	names := append([]string{"claude-code"}, o.Names()...)
	for _, n := range o.Names() {
		if !resolver.IsKnownRuntime(n) {
			// Whoever has templates of their own cares for those first.
			return append([]string{n}, names...)
		}
	}
	return names
}

func checkStore(ctx context.Context, st store) (imagestore.EngineInfo, Check) {
	name := "image store"
	if engineOf(st) != nil {
		name = "engine"
	}
	info, err := st.Info(ctx)
	switch {
	case err != nil:
		return info, failed(name, storeError(err))
	case info.Kind == imagestore.KindOCI:
		return info, ok(name, "OCI layout in %s", info.RootDir)
	}
	return info, ok(name, "Docker %s at %s, %s image store, %s", info.Version, st.Endpoint(),
		info.Kind, info.Platform)
}

func (o *Orchestrator) checkBuilder(ctx context.Context, st store) []Check {
	c, err := o.whichBuilder(ctx, st)
	if err != nil {
		return []Check{failed("builder", err)}
	}
	why := c.why
	want := o.settings.platform
	if want == NativePlatform {
		want = ""
	}
	b, err := o.connect(ctx, st, want)
	if err != nil {
		return []Check{failed("builder", err)}
	}
	defer b.Close()
	info := b.Info()
	if info.Kind == buildkit.KindManaged {
		why += "; started by this check unless it ran, and ends by itself when idle"
	}
	builder := ok("builder", "%s %s at %s (%s)", info.Kind, info.Version, info.Endpoint, why)
	advice := remarks(b)
	if old := buildkit.Floor(info); old != "" {
		advice = append(advice, old)
	}
	if plain := o.settings.withoutTLS(c); plain != "" {
		advice = append(advice, plain)
	}
	if len(advice) > 0 {
		builder = warn("builder", "%s %s at %s (%s): %s", info.Kind, info.Version, info.Endpoint,
			why, strings.Join(advice, "; "))
	}
	return []Check{builder, o.checkPlatform(b)}
}

// whichBuilder says why the builder is the one that connect takes, and which it is if it had to be
// chosen.
func (o *Orchestrator) whichBuilder(ctx context.Context, st store) (choice, error) {
	switch o.settings.addr {
	case "":
		return o.settings.choose(ctx, st)
	case ManagedBuilder:
		return choice{why: "named"}, nil
	default:
		return choice{why: "named by --addr or " + EnvBuilder}, nil
	}
}

func (o *Orchestrator) checkPlatform(b solver) Check {
	want := o.settings.platform
	if want == NativePlatform {
		return ok("platform", "%s (native)", platforms.Format(b.Native()))
	}
	p, err := resolver.ParsePlatform(want)
	if err == nil {
		err = b.RequirePlatform(p)
	}
	if err != nil {
		return failed("platform", err)
	}
	if platforms.Only(b.Native()).Match(p) {
		return ok("platform", "%s", want)
	}
	return warn("platform", "%s is emulated on %s, which is slow", want,
		platforms.Format(b.Native()))
}

func (o *Orchestrator) checkCache() Check {
	dir, err := o.records()
	if err != nil {
		return failed("cache folder", err)
	}
	if err := dir.Writable(); err != nil {
		return warn("cache folder", "%s cannot be written, so nothing will be a hit: %v",
			o.settings.cachePath(), err)
	}
	return ok("cache folder", "%s", o.settings.cachePath())
}

func checkDisk(endpoint string, info imagestore.EngineInfo) Check {
	root, room := info.RootDir, "`docker system df` and `docker image prune`"
	if info.Kind == imagestore.KindOCI {
		room = "`pinion prune`"
	} else if _, err := os.Stat(root); err != nil || !strings.HasPrefix(endpoint, "unix://") {
		return ok("disk", "the engine's disk is not on this machine")
	}
	free, err := docker.FreeBytes(root)
	switch {
	case err != nil:
		return warn("disk", "%s: %v", root, err)
	case free < lowDisk:
		return warn("disk", "%s has %s free; template images take several GB, so make room with %s",
			root, gib(free), room)
	}
	return ok("disk", "%s has %s free", root, gib(free))
}

func gib(n uint64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(n)/(1<<30)), ".0") + " GiB"
}
