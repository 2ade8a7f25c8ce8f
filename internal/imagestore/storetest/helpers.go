package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// name is an image name of this test alone, so that tests that share a store do not collide.
func name(t *testing.T, what string) string {
	sum := sha256.Sum256([]byte(t.Name()))
	return "pinion-storetest/" + hex.EncodeToString(sum[:6]) + ":" + what
}

func (s suite) load(t *testing.T, spec Spec) Archive {
	t.Helper()
	archive := Build(spec)
	s.cleanUp(t, spec.Tag)
	if err := s.store.Load(t.Context(), bytes.NewReader(archive.Tar), platform); err != nil {
		t.Fatal(err)
	}
	return archive
}

func (s suite) tag(t *testing.T, id, ref string) {
	t.Helper()
	s.cleanUp(t, ref)
	if err := s.store.Tag(t.Context(), id, ref); err != nil {
		t.Fatal(err)
	}
}

func (s suite) inspect(t *testing.T, ref string) imagestore.Image {
	t.Helper()
	img, err := s.store.Inspect(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// cleanUp removes a name at the end, whether it is there by then or not.
func (s suite) cleanUp(t *testing.T, ref string) {
	t.Cleanup(func() { _ = s.store.Untag(context.Background(), ref) })
}

// wantError checks that err is an *imagestore.Error around target, or around anything if target is
// nil.
func wantError(t *testing.T, err, target error) {
	t.Helper()
	var typed *imagestore.Error
	if !errors.As(err, &typed) || (target != nil && !errors.Is(err, target)) {
		t.Errorf("error is %v, want an *imagestore.Error around %v", err, target)
	}
}
