package pinion

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/containerd/platforms"
	units "github.com/docker/go-units"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/builder"
	"git.moleculesai.app/molecule-ai/pinion/internal/diskspace"
	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/errtext"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/retention"
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
	// Detail describes the finding, and for a warning or a failure the remedy.
	Detail string `json:"detail"`
	// Err is the cause of a failure, or what a warning is about.
	Err error `json:"-"`
}

func pass(name, format string, args ...any) Check {
	return Check{Name: name, Status: StatusOK, Detail: fmt.Sprintf(format, args...)}
}

func caution(name, format string, args ...any) Check {
	return Check{Name: name, Status: StatusWarn, Detail: fmt.Sprintf(format, args...)}
}

func failure(name string, err error) Check {
	return Check{Name: name, Status: StatusFail, Detail: errtext.Short(err).Error(), Err: err}
}

// lowDisk is the free space in bytes below which a template image of several GB may not fit.
const lowDisk = 10 << 30

// Doctor looks at everything that a build needs and changes nothing, except that it starts the
// managed builder if that is the one to use.
func (o *Orchestrator) Doctor(ctx context.Context) []Check {
	local := o.source.Mode == resolver.ModeLocalBuild
	checks := []Check{o.checkMode()}
	for _, p := range o.current.Load().catalogue.Problems() {
		checks = append(checks, caution("config file", "%v", p))
	}
	if local {
		checks = append(checks, o.checkToken(), o.checkGit(ctx))
		checks = append(checks, o.checkCertificates()...)
	}
	checks = append(checks, o.checkCache())
	s, err := o.store()
	if err != nil {
		return append(checks, failure("image store", imagestore.StoreFailure(err)))
	}
	store := imagestore.NewFacts(s)
	info, stored := checkStore(ctx, store)
	checks = append(checks, stored)
	answers := stored.Status != StatusFail
	if local && (answers || o.builders.IsNamed()) {
		checks = append(checks, o.checkBuilder(ctx, store)...)
		checks = append(checks, o.checkBuildx(ctx)...)
	}
	if answers {
		checks = append(checks, checkDisk(s.Endpoint(), info))
		checks = append(checks, o.checkLeftovers(ctx)...)
	}
	return checks
}

func (o *Orchestrator) checkMode() Check {
	if o.source.Mode == resolver.ModeRegistry {
		return pass("mode", "%s, images come from %s", o.source.Mode, o.source.Prefix)
	}
	return pass("mode", "%s", o.source.Mode)
}

// checkToken says which tokens there are: the platform's, and those that the config file names.
func (o *Orchestrator) checkToken() Check {
	found := EnvToken + " is set"
	if o.settings.token == "" {
		found = EnvToken + " is not set; public repositories need none"
	}
	missing := false
	envs := o.current.Load().catalogue.TokenEnvs()
	for _, host := range slices.Sorted(maps.Keys(envs)) {
		if envs[host] == "" {
			continue
		}
		state := "is set"
		if v, _ := o.settings.lookup(envs[host]); strings.TrimSpace(v) == "" {
			state, missing = "is not set", true
		}
		found += fmt.Sprintf("; for %s %s %s", host, envs[host], state)
	}
	if missing {
		return caution("token", "%s", found)
	}
	return pass("token", "%s", found)
}

// checkGit asks for the first template of the catalogue that is mirrored. A server that says that
// one is missing works.
func (o *Orchestrator) checkGit(ctx context.Context) Check {
	var last error
	from := o.current.Load()
	for _, name := range o.doctorTemplates() {
		t, err := from.catalogue.Template(name)
		if err != nil {
			return failure("git server", err)
		}
		if t.Given != "" {
			continue
		}
		head, err := resolver.HeadOf(ctx, from.heads, t, resolver.Dialect{})
		if err == nil {
			return pass("git server", "%s: %s is %s at %s", t.Remote.Host(), name,
				cmp.Or(t.RefAt(head), "pinned"), head.Revision.Short())
		}
		if last = err; !errors.Is(err, ErrNotFound) {
			break
		}
	}
	if last == nil {
		return pass("git server", "none is needed: the catalogue gives all images")
	}
	return failure("git server", last)
}

// checkCertificates says what a builder needs for git servers whose certificates the config file
// names, since nothing in a build request can give it to the builder.
func (o *Orchestrator) checkCertificates() []Check {
	var checks []Check
	servers := o.current.Load().catalogue.Servers()
	for _, host := range slices.Sorted(maps.Keys(servers)) {
		if file := servers[host].CAFile; file != "" {
			checks = append(checks, caution("certificates", "%s: the look-up trusts %s. The "+
				"builder fetches with a list of its own, so add these certificates to the "+
				"system's on its machine or in its container", host, file))
		}
		if file := servers[host].ClientCert; file != "" {
			checks = append(checks, caution("certificates", "%s: the look-up shows %s. A "+
				"builder's git cannot show a certificate, so the server has to let the builder "+
				"fetch without one", host, file))
		}
	}
	return checks
}

// doctorTemplates returns the catalogue, the user's own templates first.
func (o *Orchestrator) doctorTemplates() []string {
	names := o.Names()
	if slices.Contains(names, "claude-code") {
		names = append([]string{"claude-code"}, names...)
	}
	for _, n := range o.Names() {
		if !resolver.IsKnownRuntime(n) {
			return append([]string{n}, names...)
		}
	}
	return names
}

func (o *Orchestrator) checkCache() Check {
	path := o.settings.cachePath()
	dir, err := o.records()
	if err != nil {
		return failure("cache folder", err)
	}
	if err := dir.Writable(); err != nil {
		return caution("cache folder",
			"%s cannot be written, so nothing will be a hit: %v", path, err)
	}
	return pass("cache folder", "%s", path)
}

func checkStore(ctx context.Context, store *imagestore.Facts) (imagestore.EngineInfo, Check) {
	name := "image store"
	if builder.EngineOf(store.Store) != nil {
		name = "engine"
	}
	info, err := store.Info(ctx)
	switch {
	case err != nil:
		return info, failure(name, imagestore.StoreFailure(err))
	case info.Kind == imagestore.KindOCI:
		return info, pass(name, "OCI layout in %s", info.RootDir)
	}
	return info, pass(name, "Docker %s at %s, %s image store, %s", info.Version,
		store.Store.Endpoint(), info.Kind, info.Platform)
}

func (o *Orchestrator) checkBuilder(ctx context.Context, store *imagestore.Facts) []Check {
	choice, err := o.builders.Choose(ctx, store)
	if err != nil {
		return []Check{failure("builder", err)}
	}
	platform := o.settings.platform
	if platform == NativePlatform {
		platform = ""
	}
	b, err := o.connect(ctx, store, platform)
	if err != nil {
		return []Check{failure("builder", err)}
	}
	defer b.Close()
	info, why := b.Info(), choice.Why
	if info.Kind == buildkit.KindManaged {
		why += "; started by this check unless it ran, and ends by itself when idle"
	}
	seen := fmt.Sprintf("%s %s at %s (%s)", info.Kind, info.Version, info.Endpoint, why)
	checks := []Check{pass("builder", "%s", seen), o.checkPlatform(b), checkBuildCache(ctx, b)}
	if advice := append(b.Remarks, o.builders.Advice(choice, info)...); len(advice) > 0 {
		checks[0] = caution("builder", "%s: %s", seen, strings.Join(advice, "; "))
	}
	return checks
}

// cacheUseTimeout bounds the time for adding up a build cache.
const cacheUseTimeout = 10 * time.Second

// checkBuildCache says what the builder's own cache takes of its disk.
func checkBuildCache(ctx context.Context, b builder.Builder) Check {
	ctx, cancel := context.WithTimeout(ctx, cacheUseTimeout)
	defer cancel()
	u, err := b.CacheUse(ctx)
	if err != nil {
		return caution("build cache", "%v", errtext.Short(err))
	}
	return pass("build cache", "%s in %d records, %s of it in use and %s in cache mounts",
		size(u.Size), u.Records, size(u.InUse), size(u.Mounts))
}

func size(bytes int64) string { return units.HumanSizeWithPrecision(float64(bytes), 3) }

func (o *Orchestrator) checkPlatform(b builder.Builder) Check {
	want := o.settings.platform
	if want == NativePlatform {
		return pass("platform", "%s (native)", platforms.Format(b.Native()))
	}
	p, err := resolver.ParsePlatform(want)
	if err == nil {
		err = b.RequirePlatform(p)
	}
	switch {
	case errors.Is(err, ErrPlatform) && !builder.Emulated(b, p):
		return pass("platform", "%s", want)
	case errors.Is(err, ErrPlatform):
		return Check{Name: "platform", Status: StatusWarn, Err: err,
			Detail: fmt.Sprintf("%v, so a step that runs a program of %s fails", err, want)}
	case err != nil:
		return failure("platform", err)
	case !builder.Emulated(b, p):
		return pass("platform", "%s", want)
	}
	return caution("platform", "%s is emulated on %s, which is slow", want,
		platforms.Format(b.Native()))
}

// checkBuildx looks at the buildx plugin, if there is one. Without it nothing is missing: a builder
// that is reached through it says so itself.
func (o *Orchestrator) checkBuildx(ctx context.Context) []Check {
	version, advice, ok, err := o.builders.BuildxVersion(ctx)
	switch {
	case err != nil:
		return []Check{caution("buildx", "%v", err)}
	case !ok:
		return nil
	case advice != "":
		return []Check{caution("buildx", "%s: %s", version, advice)}
	}
	return []Check{pass("buildx", "%s", version)}
}

// checkLeftovers looks for what earlier tools left. If it cannot, another check has failed.
func (o *Orchestrator) checkLeftovers(ctx context.Context) []Check {
	s, err := o.survey(ctx)
	if err != nil {
		return nil
	}
	found, err := s.FindLeftovers(ctx, retention.Scope{})
	if err != nil || len(found.Images())+len(found.Clones) == 0 {
		return nil
	}
	var inImages, inClones int64
	seen := map[string]bool{}
	for _, img := range found.Images() {
		if !seen[img.ID] {
			inImages += img.Size
		}
		seen[img.ID] = true
	}
	for _, c := range found.Clones {
		inClones += c.Size
	}
	check := caution("leftovers", "earlier tools left %d images (%s) and %d clones (%s)", len(seen),
		size(inImages), len(found.Clones), size(inClones))
	check.Err = errdef.In(errdef.Leftovers, "", errors.New(check.Detail))
	return []Check{check}
}

func checkDisk(endpoint string, info imagestore.EngineInfo) Check {
	root, room := info.RootDir, "remove images of the engine that are not used"
	if info.Kind == imagestore.KindOCI {
		room = "prune older images"
	} else if !retention.IsHere(endpoint, info) {
		return pass("disk", "the engine's disk is not on this machine")
	}
	space, err := diskspace.Of(root)
	switch {
	case err != nil:
		return caution("disk", "%s: %v", root, err)
	case space.Free < lowDisk:
		return caution("disk", "%s has %s free; template images take several GB, so make room: %s",
			root, gib(space.Free), room)
	}
	return pass("disk", "%s has %s free", root, gib(space.Free))
}

func gib(n int64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(n)/(1<<30)), ".0") + " GiB"
}
