package docker_test

import (
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/docker"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
)

const (
	publicRef  = "registry.example/team/public:1"
	privateRef = "registry.example/team/private:1"
)

func TestPull(t *testing.T) {
	inline := `{"auths":{"registry.example":{"auth":"` +
		base64.StdEncoding.EncodeToString([]byte("user:from-file")) + `"}}}`
	hub := strings.ReplaceAll(inline, "registry.example", "https://index.docker.io/v1/")
	legacy := strings.ReplaceAll(inline, "registry.example", "https://registry.example/v1/")
	for _, c := range []struct {
		name, ref, config string
		env               map[string]string
		password          string // of the private image
		helperUser        string
		want              error
		mention           string
		advice            errdef.Situation // with the registry or the image for its detail
	}{
		{name: "public", ref: publicRef},
		{name: "public with a login for it", ref: publicRef,
			config: `{"auths":{"other.example":{}}}`},
		{name: "private without a login", ref: privateRef, password: "from-file",
			want: imagestore.ErrUnauthorized, mention: "registry.example",
			advice: errdef.RegistryUnauthorized},
		{name: "login in the config", ref: privateRef, config: inline, password: "from-file"},
		{name: "login in an old form", ref: privateRef, config: legacy, password: "from-file"},
		{name: "login for Docker Hub", ref: "team/private:1", config: hub, password: "from-file"},
		{name: "wrong password", ref: privateRef, config: inline, password: "other",
			want: imagestore.ErrUnauthorized, mention: "registry.example",
			advice: errdef.RegistryUnauthorized},
		{name: "helper for the registry", ref: privateRef,
			config: `{"credHelpers":{"registry.example":"pinion-test"}}`, password: "from-helper",
			helperUser: "user"},
		{name: "helper for all", ref: privateRef, config: `{"credsStore":"pinion-test"}`,
			password: "from-helper", helperUser: "user"},
		{name: "helper fails", ref: privateRef, config: `{"credsStore":"pinion-test"}`,
			want: imagestore.ErrUnauthorized, mention: "docker-credential-pinion-test",
			advice: errdef.CredentialHelperFailed},
		{name: "helper is missing", ref: privateRef, config: `{"credsStore":"nowhere"}`,
			want: imagestore.ErrUnauthorized, mention: "docker-credential-nowhere",
			advice: errdef.CredentialHelperFailed},
		{name: "DOCKER_AUTH_CONFIG beats the config", ref: privateRef,
			config: `{"credsStore":"nowhere"}`,
			env:    map[string]string{"DOCKER_AUTH_CONFIG": inline}, password: "from-file"},
		{name: "no such image", ref: "registry.example/team/denied:1", want: imagestore.ErrNotFound,
			mention: "team/denied:1", advice: errdef.RegistryImageMissing},
	} {
		t.Run(c.name, func(t *testing.T) {
			standIns(t)
			t.Setenv(helperUserVar, c.helperUser)
			fake := storetest.StartFake(t, imagestore.KindClassic, "1.52")
			archive := storetest.Build(storetest.Spec{Content: c.name})
			fake.Publish(publicRef, archive, "", "")
			fake.Publish(privateRef, archive, "user", c.password)
			fake.Publish("team/private:1", archive, "user", c.password)
			engine, err := docker.Dial(docker.Config{Host: fake.Host(),
				ConfigDir: configDir(t, c.config), Lookup: lookup(c.env)})
			if err != nil {
				t.Fatal(err)
			}
			err = engine.Pull(t.Context(), c.ref, "linux/amd64", nil)
			if c.want != nil {
				wantPullError(t, err, c.want, c.mention)
				if s, detail := errdef.SituationOf(err); s != c.advice ||
					!strings.HasPrefix(detail, "registry.example") {
					t.Errorf("%q is in the situation %q, %q", err, s, detail)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if img, err := engine.Inspect(t.Context(), c.ref); err != nil ||
				img.ID != archive.ID(imagestore.KindClassic) {
				t.Errorf("after the pull: %+v, %v", img, err)
			}
		})
	}
}

// Fault 27 in this package: registries echo what they were sent (the fake
// does), and it must not come out.
func wantPullError(t *testing.T, err, want error, mention string) {
	t.Helper()
	var typed *imagestore.Error
	if !errors.Is(err, want) || !errors.As(err, &typed) ||
		typed.Origin != imagestore.OriginRegistry {
		t.Fatalf("error %v, want %v from the registry", err, want)
	}
	if !strings.Contains(err.Error(), mention) || strings.Contains(err.Error(), "from-file") {
		t.Errorf("%q should mention %q and no password", err, mention)
	}
}

// TestPullProgress: what engines repeat is left out, bytes are added up, and silence is allowed
// once all layers have come.
func TestPullProgress(t *testing.T) {
	fake := storetest.StartFake(t, imagestore.KindClassic, "1.52")
	fake.Handle("POST /images/create", func(w http.ResponseWriter, _ *http.Request) {
		for _, line := range []string{
			`{"status":"Pulling from x","id":"1"}`,
			`{"status":"Pulling fs layer","id":"a"}`, `{"status":"Pulling fs layer","id":"b"}`,
			`{"status":"Downloading","id":"a","progressDetail":{"current":5,"total":9}}`,
			`{"status":"Downloading","id":"a","progressDetail":{"current":5,"total":9}}`,
			`{"status":"Downloading","id":"b","progressDetail":{"current":3,"total":3}}`,
			`{"status":"Download complete","id":"b"}`,
			`{"status":"Extracting","id":"b","progressDetail":{"current":1,"units":"s"}}`,
			`{"status":"Downloading","id":"a","progressDetail":{"current":9,"total":9}}`,
			`{"status":"Download complete","id":"a"}`,
			`{"status":"Extracting","id":"b","progressDetail":{"current":2,"units":"s"}}`,
			`{"status":"Pull complete","id":"b"}`,
			`{"aux":{"ID":"x"}}`,
		} {
			_, _ = io.WriteString(w, line+"\r\n")
		}
	})
	var got []imagestore.Progress
	err := dial(t, fake.Host(), nil).Pull(t.Context(), publicRef, "", func(p imagestore.Progress) {
		got = append(got, p)
	})
	want := []imagestore.Progress{
		{Status: "1: Pulling from x"},
		{Status: "a: Pulling fs layer"}, {Status: "b: Pulling fs layer"},
		{Status: "a: Downloading", Bytes: 5}, {Status: "b: Downloading", Bytes: 8},
		{Status: "b: Download complete", Bytes: 8}, {Status: "b: Extracting", Bytes: 8},
		{Bytes: 12}, {Status: "a: Download complete", Bytes: 12, Unpacking: true},
		{Bytes: 12, Unpacking: true},
		{Status: "b: Pull complete", Bytes: 12, Unpacking: true},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v\n got %+v\nwant %+v", err, got, want)
	}
}

// The answers are quoted from engines 20.10 and 29.
func TestPullFailures(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int // 0 is 200 with the text in the stream
		text   string
		want   error
		origin imagestore.Origin
	}{
		{"denied as not found", 404,
			"pull access denied for x, repository does not exist or may require 'docker login': " +
				"denied: requested access to the resource is denied", imagestore.ErrUnauthorized,
			imagestore.OriginRegistry},
		{"status alone", 401, "go away", imagestore.ErrUnauthorized, imagestore.OriginRegistry},
		{"forbidden alone", 403, "go away", imagestore.ErrUnauthorized, imagestore.OriginRegistry},
		{"in the stream", 0, "unauthorized: authentication required", imagestore.ErrUnauthorized,
			imagestore.OriginRegistry},
		{"no platform", 404, "no matching manifest for linux/arm64 in the manifest list entries",
			imagestore.ErrNotFound, imagestore.OriginRegistry},
		{"unknown in the stream", 0, "manifest unknown", imagestore.ErrNotFound,
			imagestore.OriginRegistry},
		{"no network", 500,
			`Get "https://registry.example/v2/": dial tcp 192.0.2.1:443: connect: ` +
				`connection refused`,
			imagestore.ErrUnavailable, imagestore.OriginRegistry},
		{"no such host", 500,
			`Get "https://registry.example/v2/": dial tcp: lookup registry.example: no such host`,
			imagestore.ErrUnavailable, imagestore.OriginRegistry},
		{"registry is down", 500, "received unexpected HTTP status: 503 Service Unavailable",
			imagestore.ErrUnavailable, imagestore.OriginRegistry},
		{"connection lost in the stream", 0,
			"failed to copy: httpReadSeeker: failed open: read tcp: connection reset by peer",
			imagestore.ErrUnavailable, imagestore.OriginRegistry},
		{"fixed tags", 0, "tag invalid: the tag is immutable", imagestore.ErrTagFixed,
			imagestore.OriginRegistry},
		{"a proxy's limit", 0, "unknown: <html><h1>413 Request Entity Too Large</h1></html>", nil,
			imagestore.OriginRegistry},
		{"too many layers", 0, "failed to register layer: max depth exceeded", nil,
			imagestore.OriginDocker},
		{"something else", 500, "layers of team/unauthorized:1 do not match", nil,
			imagestore.OriginRegistry},
	} {
		t.Run(c.name, func(t *testing.T) {
			fake := storetest.StartFake(t, imagestore.KindClassic, "1.52")
			fake.Handle("POST /images/create", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if c.status == 0 {
					_, _ = io.WriteString(w,
						`{"status":"Pulling"}`+"\r\n"+
							`{"errorDetail":{"message":"`+c.text+`"},"error":"`+c.text+`"}`+"\r\n")
					return
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, `{"message":"`+strings.ReplaceAll(c.text, `"`, `\"`)+`"}`)
			})
			err := dial(t, fake.Host(), nil).Pull(t.Context(), "team/unauthorized:1",
				"linux/amd64", nil)
			var typed *imagestore.Error
			if !errors.As(err, &typed) || typed.Origin != c.origin {
				t.Fatalf("error %v, want origin %s", err, c.origin)
			}
			if strings.Contains(err.Error(), "<") {
				t.Errorf("the error is %q", err)
			}
			for _, sentinel := range []error{imagestore.ErrUnauthorized, imagestore.ErrNotFound,
				imagestore.ErrUnavailable, imagestore.ErrTagFixed} {
				if errors.Is(err, sentinel) != errors.Is(c.want, sentinel) {
					t.Errorf("error %v, want %v", err, c.want)
				}
			}
		})
	}
}

// Engines before API 1.41 refuse a platform unless they are experimental.
func TestPullPlatformOnOldEngines(t *testing.T) {
	for _, c := range []struct {
		api, arch string
		sent      bool
		ok        bool
	}{
		{"1.40", "amd64", false, true},
		{"1.40", "arm64", false, false},
		{"1.41", "amd64", true, true},
	} {
		t.Run(c.api+" "+c.arch, func(t *testing.T) {
			fake := storetest.StartFake(t, imagestore.KindClassic, c.api)
			fake.Publish(publicRef,
				storetest.Build(storetest.Spec{Content: "x", Architecture: c.arch}), "", "")
			err := dial(t, fake.Host(), nil).Pull(t.Context(), publicRef, "linux/amd64", nil)
			if (err == nil) != c.ok {
				t.Errorf("pull: %v, want success %v", err, c.ok)
			}
			if sent := slices.ContainsFunc(fake.Queries(), func(q string) bool {
				return strings.Contains(q, "platform=linux%2Famd64")
			}); sent != c.sent {
				t.Errorf("platform sent: %v, want %v", sent, c.sent)
			}
		})
	}
}
