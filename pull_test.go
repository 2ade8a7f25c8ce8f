package pinion

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

const registryPrefix = "registry.example/team"

func registryWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t,
		OptionsFromEnv(environment(map[string]string{"MOLECULE_IMAGE_REGISTRY": registryPrefix})),
		WithCacheDir(t.TempDir()+"/cache"), WithConfig(emptyConfig(t)))
	w.heads.err = errors.New("a git server was asked")
	return w
}

// TestRegistryModeFollowsAMovingTag: the tag is latest, so each call pulls, and one that brings the
// same image is a hit.
func TestRegistryModeFollowsAMovingTag(t *testing.T) {
	w := registryWorld(t)
	const ref = "registry.example/team/workspace-template-claude-code:latest"
	first, second := w.ensure(t), w.ensure(t)
	if first.Outcome != OutcomePulled || first.Reference != ref ||
		first.Mode != resolver.ModeRegistry || first.Reason != "not in the image store" ||
		second.Outcome != OutcomeHit || second.ID != first.ID || second.Reason != "" {
		t.Errorf("%+v, then %+v", first, second)
	}
	if p := w.store.Pulled; len(p) != 2 || p[0] != ref+" linux/amd64" || p[1] != p[0] {
		t.Errorf("pulled %v", p)
	}
	w.store.Published = "sha256:newer"
	if img := w.ensure(t); img.Outcome != OutcomePulled || img.ID != "sha256:newer" ||
		img.Reason != "its tag names another image now" {
		t.Errorf("after the tag moved: %+v", img)
	}
	if img := w.ensure(t, Pull()); img.Outcome != OutcomePulled || len(w.store.Pulled) != 4 {
		t.Errorf("--pull gave %+v", img)
	}
	if w.heads.asked != 0 || w.builder.solves() != 0 {
		t.Errorf("%d questions to git, %d solves", w.heads.asked, w.builder.solves())
	}
}

// TestAFailedPullLeavesTheImageInUse, with a warning, unless the caller asked for the pull or the
// image is not there.
func TestAFailedPullLeavesTheImageInUse(t *testing.T) {
	var log bytes.Buffer
	w := newWorld(t, OptionsFromEnv(environment(map[string]string{
		"MOLECULE_IMAGE_REGISTRY": registryPrefix})),
		WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	first := w.ensure(t)
	w.store.Before = storetest.Refuse("pull", "", &imagestore.Error{Op: "pull",
		Origin: imagestore.OriginRegistry, Err: errors.New("connection refused")})
	img := w.ensure(t)
	if img.Outcome != OutcomeHit || img.ID != first.ID || len(img.Warnings) != 1 ||
		!strings.Contains(img.Warnings[0], "was not pulled again") ||
		!strings.Contains(img.Warnings[0], "connection refused") {
		t.Errorf("%+v", img)
	}
	if !strings.Contains(log.String(), "connection refused") {
		t.Errorf("not in the log: %s", &log)
	}
	if _, err := w.Ensure(t.Context(), "claude-code", Pull()); !errors.Is(err, ErrRegistry) {
		t.Errorf("a pull that was asked for: %v", err)
	}
	if _, err := w.Ensure(t.Context(), "hermes"); !errors.Is(err, ErrRegistry) {
		t.Errorf("an image that is not there: %v", err)
	}
	w.store.Put(imagestore.Image{ID: "sha256:arm", Platform: "linux/arm64"},
		w.source.Reference("claude-code"))
	if _, err := w.Ensure(t.Context(), "claude-code"); !errors.Is(err, ErrRegistry) {
		t.Errorf("an image of another platform: %v", err)
	}
}

// TestABlankRegistryIsRefused: it must neither build nor pull.
func TestABlankRegistryIsRefused(t *testing.T) {
	for _, blank := range []string{" ", "\t", " \n "} {
		_, err := New(OptionsFromEnv(environment(map[string]string{
			"MOLECULE_IMAGE_REGISTRY": blank})), WithConfig(emptyConfig(t)))
		if ClassOf(err) != ClassUsage || !strings.Contains(err.Error(), "MOLECULE_IMAGE_REGISTRY") {
			t.Errorf("%q gives %v", blank, err)
		}
	}
	w := newWorld(t, OptionsFromEnv(environment(map[string]string{"MOLECULE_IMAGE_REGISTRY": ""})))
	if source := w.Source(); source.Mode != resolver.ModeLocalBuild ||
		source.Prefix != "molecule-local" {
		t.Errorf("an empty one gives %+v", source)
	}
}

func TestRegistryModePullsForThePlatform(t *testing.T) {
	w := registryWorld(t)
	w.store.Put(imagestore.Image{ID: "sha256:arm", Platform: "linux/arm64"},
		w.source.Reference("claude-code"))
	if img := w.ensure(t); img.Outcome != OutcomePulled ||
		img.Reason != "the one in the image store is for linux/arm64" {
		t.Errorf("%+v", img)
	}
}

// The prefix is used byte for byte. One that makes no valid reference is an error.
func TestAPrefixIsNeverTrimmed(t *testing.T) {
	w := newWorld(t,
		OptionsFromEnv(environment(
			map[string]string{"MOLECULE_IMAGE_REGISTRY": "registry.example/team/"},
		)), WithCacheDir(t.TempDir()+"/cache"), WithConfig(emptyConfig(t)))
	const want = "registry.example/team//workspace-template-hermes:latest"
	if ref, err := w.EnsureLocalImage(t.Context(), "hermes"); err != nil || ref != want {
		t.Errorf("%q, %v", ref, err)
	}
	if _, err := w.Ensure(t.Context(), "hermes"); !errors.Is(err, ErrInvalidInput) ||
		!strings.Contains(err.Error(), want) {
		t.Errorf("error is %v", err)
	}
}

func TestRegistryModeKnowsTheCatalogue(t *testing.T) {
	w := registryWorld(t)
	if _, err := w.Ensure(t.Context(), "no-such"); !errors.Is(err, ErrUnknownTemplate) {
		t.Errorf("error is %v", err)
	}
	_, err := w.Ensure(t.Context(), "claude-code", AtRevision(revision(t, shaA), true))
	if typed := (*Error)(nil); !errors.Is(err, ErrInvalidInput) || !errors.As(err, &typed) ||
		typed.Origin != OriginUsage {
		t.Errorf("error is %v", err)
	}
}

func TestEnsureLocalImage(t *testing.T) {
	w := registryWorld(t)
	w.Orchestrator.store = func() (imagestore.Store, error) { panic("store opened") }
	ref, err := w.EnsureLocalImage(t.Context(), "hermes")
	if err != nil || ref != registryPrefix+"/workspace-template-hermes:latest" {
		t.Errorf("registry mode gives %q, %v", ref, err)
	}
	if _, err := w.EnsureLocalImage(t.Context(), "no-such"); !errors.Is(err, ErrUnknownTemplate) {
		t.Errorf("error is %v", err)
	}
	local := newWorld(t)
	if ref, err := local.EnsureLocalImage(t.Context(), "claude-code"); err != nil ||
		ref != pinnedA {
		t.Errorf("local-build mode gives %q, %v", ref, err)
	}
}

func TestResolveBuildsNothing(t *testing.T) {
	w := newWorld(t)
	res, err := w.Resolve(t.Context(), "claude-code")
	if err != nil || res.Revision.String() != shaA || res.Reference != pinnedA ||
		w.builder.solves() != 0 {
		t.Errorf("%+v, %v", res, err)
	}
	res, err = registryWorld(t).Resolve(t.Context(), "claude-code")
	if err != nil || res.Mode != resolver.ModeRegistry || !res.Revision.IsZero() {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestARegistrysRefusalsCanBeToldApart(t *testing.T) {
	for from, want := range map[error]error{
		imagestore.ErrUnauthorized: ErrUnauthorized, imagestore.ErrNotFound: ErrNotFound,
		imagestore.ErrUnavailable: ErrUnavailable,
	} {
		w := registryWorld(t)
		w.store.Before = storetest.Refuse("pull", "", &imagestore.Error{Op: "pull",
			Origin: imagestore.OriginRegistry, Err: from})
		_, err := w.Ensure(t.Context(), "claude-code")
		var e *Error
		if !errors.Is(err, ErrRegistry) || !errors.Is(err, want) || !errors.As(err, &e) ||
			e.Origin != OriginRegistry {
			t.Errorf("%v gives %v", from, err)
		}
	}
}
