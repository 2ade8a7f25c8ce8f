package docker_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// testRealPush: a registry with fixed tags takes what it has, keeps what it has for another image,
// and says which that is.
func testRealPush(t *testing.T, daemon *parts.Dockerd, kind imagestore.Kind) {
	registry := partstest.Registry(t, parts.RegistryOptions{User: "user",
		Password: "canary-password"})
	front := partstest.Proxy(t, registry.URL())
	host := strings.TrimPrefix(front.URL(), "http://")
	engine := dialWithLogin(t, daemon.Host(), host, "canary-password")
	load := func(content string) string {
		a := storetest.Build(storetest.Spec{Tag: "pushed:" + content, Content: t.Name() + content,
			Labels: map[string]string{"content": content}})
		if err := engine.Load(t.Context(), bytes.NewReader(a.Tar), ""); err != nil {
			t.Fatal(err)
		}
		return a.ID(kind)
	}
	one, two := load("one"), load("two")
	for i, fixed := range parts.FixedTags() {
		t.Run(fixed.Registry, func(t *testing.T) {
			ref := fmt.Sprintf("%s/team/overwritten-%d:denied", host, i)
			digest, err := engine.Push(t.Context(), imagestore.Push{ID: one, Ref: ref}, nil)
			if err != nil {
				t.Fatal(err)
			}
			front.SetHook(parts.KeepTags(registry.URL(), fixed.Refusal))
			defer front.SetHook(nil)
			again, err := engine.Push(t.Context(), imagestore.Push{ID: one, Ref: ref}, nil)
			if err != nil || again != digest {
				t.Errorf("the same image again: %q, %v, want %s", again, err, digest)
			}
			_, err = engine.Push(t.Context(), imagestore.Push{ID: two, Ref: ref}, nil)
			taken, ok := errors.AsType[*imagestore.TakenError](err)
			if !ok || taken.Digest != digest || taken.Labels["content"] != "one" {
				t.Fatalf("another image: %v", err)
			}
			if strings.Contains(err.Error(), "</") || strings.Contains(err.Error(), "<html") ||
				strings.Contains(err.Error(), "canary-password") {
				t.Errorf("the error is %q", err)
			}
			if errors.Is(err, imagestore.ErrUnavailable) {
				t.Errorf("the registry answers: %v", err)
			}
			other, err := engine.Push(t.Context(), imagestore.Push{ID: two, Ref: ref + "2"}, nil)
			if err != nil || other == digest {
				t.Errorf("a new name: %q, %v", other, err)
			}
		})
	}
}
