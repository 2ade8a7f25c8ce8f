package docker_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/docker"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// TestRealEngines runs the conformance suite, and what a fake cannot vouch
// for, on each engine.
func TestRealEngines(t *testing.T) {
	for _, flavour := range parts.Flavours() {
		t.Run(string(flavour), func(t *testing.T) {
			daemon := partstest.Dockerd(t, flavour)
			t.Run("conformance", func(t *testing.T) {
				storetest.Run(t, dial(t, daemon.Host(), nil), kindOf(flavour))
			})
			t.Run("pull", func(t *testing.T) { testRealPull(t, daemon) })
			t.Run("push", func(t *testing.T) { testRealPush(t, daemon, kindOf(flavour)) })
			t.Run("upload", func(t *testing.T) { testRealUpload(t, daemon, kindOf(flavour)) })
			t.Run("hijack", func(t *testing.T) { testRealHijack(t, daemon) })
			t.Run("engine dies during a load", func(t *testing.T) { testRealDeath(t, daemon) })
		})
	}
}

func kindOf(flavour parts.Flavour) imagestore.Kind {
	if flavour == parts.Docker29Containerd {
		return imagestore.KindContainerd
	}
	return imagestore.KindClassic
}

func testRealPull(t *testing.T, daemon *parts.Dockerd) {
	registry := partstest.Registry(t, parts.RegistryOptions{User: "user",
		Password: "canary-password"})
	push := pusher{t: t, url: registry.URL(), user: "user", password: "canary-password"}
	amd := storetest.Build(storetest.Spec{Content: "single"})
	// Unlike the single image: variants are found by content, under any name.
	other := storetest.Build(storetest.Spec{Content: "amd64"})
	arm := storetest.Build(storetest.Spec{Content: "arm64", Architecture: "arm64"})
	push.image("team/single", "1", amd)
	push.index("team/multi", "1", map[string]storetest.Archive{"amd64": other, "arm64": arm})
	single, multi := registry.Host()+"/team/single:1", registry.Host()+"/team/multi:1"
	engine := dialWithLogin(t, daemon.Host(), registry.Host(), "canary-password")

	t.Run("with a login", func(t *testing.T) {
		lines := 0
		if err := engine.Pull(t.Context(), single, "linux/amd64", func(imagestore.Progress) {
			lines++
		}); err != nil {
			t.Fatal(err)
		}
		img, err := engine.Inspect(t.Context(), single)
		if err != nil || img.ID != amd.ID(kindOf(daemon.Flavour())) || lines == 0 {
			t.Errorf("after the pull: %+v, %v, %d lines of progress", img, err, lines)
		}
	})
	t.Run("another platform", func(t *testing.T) {
		if err := engine.Pull(t.Context(), multi, "linux/arm64", nil); err != nil {
			t.Fatal(err)
		}
		if img, err := engine.InspectPlatform(t.Context(), multi, "linux/arm64"); err != nil ||
			img.Platform != "linux/arm64" {
			t.Errorf("after the pull: %+v, %v", img, err)
		}
		img, err := engine.InspectPlatform(t.Context(), multi, "linux/amd64")
		if err == nil && img.Platform == "linux/amd64" {
			t.Errorf("the store has no amd64 variant, but reports %+v", img)
		}
		if err != nil && !errors.Is(err, imagestore.ErrNotFound) {
			t.Error(err)
		}
	})
	for name, c := range map[string]struct {
		engine *docker.Engine
		ref    string
		want   error
	}{
		"without a login": {dial(t, daemon.Host(), nil), single, imagestore.ErrUnauthorized},
		"wrong password": {dialWithLogin(t, daemon.Host(), registry.Host(), "from-file"), single,
			imagestore.ErrUnauthorized},
		"no such tag":   {engine, registry.Host() + "/team/single:2", imagestore.ErrNotFound},
		"no such image": {engine, registry.Host() + "/team/denied:1", imagestore.ErrNotFound},
		"no platform":   {engine, registry.Host() + "/team/multi:1", imagestore.ErrNotFound},
		"no registry":   {engine, "127.0.0.1:1/team/single:1", imagestore.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			platform := "linux/amd64"
			if name == "no platform" {
				platform = "linux/s390x"
			}
			err := c.engine.Pull(t.Context(), c.ref, platform, nil)
			wantPullError(t, err, c.want, "")
		})
	}
}

func dialWithLogin(t *testing.T, host, registry, password string) *docker.Engine {
	t.Helper()
	auth := base64.StdEncoding.EncodeToString([]byte("user:" + password))
	dir := configDir(t, fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, registry, auth))
	engine, err := docker.Dial(docker.Config{Host: host, ConfigDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = engine.Close() })
	return engine
}

// The engine's BuildKit begins the HTTP/2 conversation with a SETTINGS frame.
func testRealHijack(t *testing.T, daemon *parts.Dockerd) {
	conn, err := dial(t, daemon.Host(), nil).DialHijack(t.Context(), "/grpc", "h2c", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn,
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"); err != nil {
		t.Fatal(err)
	}
	const frameHeader, typeOffset, settings = 9, 3, 4
	frame := make([]byte, frameHeader)
	if _, err := io.ReadFull(conn, frame); err != nil || frame[typeOffset] != settings {
		t.Errorf("first frame %x, %v, want SETTINGS", frame, err)
	}
}

func testRealDeath(t *testing.T, daemon *parts.Dockerd) {
	engine := dial(t, daemon.Host(), nil)
	archive := storetest.Build(storetest.Spec{Tag: "pinion-storetest/death:1", Content: t.Name()})
	reader, writer := io.Pipe()
	defer reader.Close()
	go func() {
		_, _ = writer.Write(archive.Tar[:1000])
		daemon.Kill()
		_, _ = writer.Write(archive.Tar[1000:])
		_ = writer.Close()
	}()
	wantUnavailable(t, engine.Load(t.Context(), reader, "linux/amd64"), "load")
	_, err := engine.Inspect(t.Context(), "pinion-storetest/death:1")
	wantUnavailable(t, err, "inspect")
	if err := daemon.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := engine.Load(t.Context(), bytes.NewReader(archive.Tar), "linux/amd64"); err != nil {
		t.Errorf("after the restart: %v", err)
	}
}
