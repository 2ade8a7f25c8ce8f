package docker_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
)

// A hit must stay cheap: one ping, which also agrees on the API version, and
// one inspect.
func TestHitCostsOnePingAndOneInspect(t *testing.T) {
	fake := storetest.StartFake(t, imagestore.KindClassic, "1.52")
	engine := dial(t, fake.Host(), nil)
	_, err := engine.Inspect(t.Context(), "a:1")
	if !errors.Is(err, imagestore.ErrNotFound) {
		t.Fatal(err)
	}
	if want := []string{"HEAD /_ping", "GET /images/a:1/json"}; !slices.Equal(fake.Requests(),
		want) {
		t.Errorf("requests %q, want %q", fake.Requests(), want)
	}
}

func TestEngineGone(t *testing.T) {
	fake := storetest.StartFake(t, imagestore.KindClassic, "1.52")
	engine := dial(t, fake.Host(), nil)
	fake.Stop()
	id := "sha256:" + strings.Repeat("ab", 32)
	for op, call := range map[string]func(context.Context) error{
		"info": func(ctx context.Context) error {
			_, err := engine.Info(ctx)
			return err
		},
		"inspect": func(ctx context.Context) error {
			_, err := engine.Inspect(ctx, "a:1")
			return err
		},
		"list": func(ctx context.Context) error {
			_, err := engine.List(ctx, "x")
			return err
		},
		"list containers": func(ctx context.Context) error {
			_, err := engine.Uses(ctx)
			return err
		},
		"tag":   func(ctx context.Context) error { return engine.Tag(ctx, id, "a:1") },
		"untag": func(ctx context.Context) error { return engine.Untag(ctx, "a:1") },
		"load": func(ctx context.Context) error {
			return engine.Load(ctx, strings.NewReader("x"), "")
		},
		"pull": func(ctx context.Context) error {
			return engine.Pull(ctx, "a:1", "linux/amd64", nil)
		},
		"hijack": func(ctx context.Context) error {
			_, err := engine.DialHijack(ctx, "/grpc", "h2c", nil)
			return err
		},
	} {
		t.Run(op, func(t *testing.T) {
			wantUnavailable(t, call(t.Context()), op)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := call(ctx); !errors.Is(err, context.Canceled) ||
				errors.Is(err, imagestore.ErrUnavailable) {
				t.Errorf("cancelled: %v", err)
			}
		})
	}
}

func wantUnavailable(t *testing.T, err error, op string) {
	t.Helper()
	var typed *imagestore.Error
	if !errors.As(err, &typed) || !errors.Is(err, imagestore.ErrUnavailable) || typed.Op != op ||
		typed.Origin != imagestore.OriginDocker {
		t.Fatalf("error %v, want ErrUnavailable of the engine in %s", err, op)
	}
	if s, detail := errdef.SituationOf(err); s != errdef.EngineUnreachable ||
		!strings.Contains(err.Error(), detail) {
		t.Errorf("%q is in the situation %q, %q", err, s, detail)
	}
}

// The engine dies while it is sent an archive, before and within its answer.
func TestEngineDiesDuringLoad(t *testing.T) {
	for name, die := range map[string]func(http.ResponseWriter, *http.Request){
		"within the archive": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.ReadFull(r.Body, make([]byte, 1000))
		},
		"within the answer": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, `{"stream":"Loaded im`)
			_ = http.NewResponseController(w).Flush()
		},
	} {
		t.Run(name, func(t *testing.T) {
			fake := storetest.StartFake(t, imagestore.KindClassic, "1.52")
			fake.Handle("POST /images/load", func(w http.ResponseWriter, r *http.Request) {
				die(w, r)
				panic(http.ErrAbortHandler)
			})
			archive := storetest.Build(storetest.Spec{Tag: "a:1",
				Content: strings.Repeat("x", 1<<20)})
			wantUnavailable(t, dial(t, fake.Host(), nil).Load(t.Context(),
				bytes.NewReader(archive.Tar), "linux/amd64"), "load")
		})
	}
}

func TestFault40_ErrorInLoadStream(t *testing.T) {
	for name, stream := range map[string]string{
		"error and detail": `{"stream":"Loading"}` + "\r\n" +
			`{"errorDetail":{"message":"no space"},"error":"no space"}`,
		"detail alone": `{"errorDetail":{"code":500,"message":"no space"}}`,
		"error alone":  `{"error":"no space"}`,
		"unpacking": `{"stream":"Loaded image: a:1\n"}` +
			`{"stream":"Error unpacking image a:1: no space\n"}`,
		"in one message": `{"stream":"Loaded image: a:1\nError unpacking image a:1: no space\n"}`,
	} {
		t.Run(name, func(t *testing.T) {
			fake := storetest.StartFake(t, imagestore.KindContainerd, "1.47")
			fake.Handle("POST /images/load", func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(w, stream)
			})
			err := dial(t, fake.Host(), nil).Load(t.Context(),
				strings.NewReader("archive"), "linux/amd64")
			var typed *imagestore.Error
			if !errors.As(err, &typed) || !strings.Contains(err.Error(), "no space") ||
				errors.Is(err, imagestore.ErrUnavailable) {
				t.Errorf("error %v, want what the stream said", err)
			}
		})
	}
}

// A full disk shows in the middle of an archive; what the engine says must
// win over the connection that it closes then.
func TestFault40_EngineGivesUpBeforeTheEnd(t *testing.T) {
	fake := storetest.StartFake(t, imagestore.KindClassic, "1.52")
	fake.Handle("POST /images/load", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadFull(r.Body, make([]byte, 1000))
		_, _ = io.WriteString(w, `{"error":"no space left on device"}`)
	})
	err := dial(t, fake.Host(), nil).Load(t.Context(),
		bytes.NewReader(make([]byte, 64<<20)), "linux/amd64")
	if err == nil || !strings.Contains(err.Error(), "no space left") ||
		errors.Is(err, imagestore.ErrUnavailable) {
		t.Errorf("error %v, want what the engine said", err)
	}
}

func TestLoadSendsPlatformWhereItCounts(t *testing.T) {
	for api, want := range map[string]bool{"1.47": false, "1.48": true} {
		fake := storetest.StartFake(t, imagestore.KindContainerd, api)
		archive := storetest.Build(storetest.Spec{Tag: "a:1", Content: "x"})
		if err := dial(t, fake.Host(), nil).Load(t.Context(), bytes.NewReader(archive.Tar),
			"linux/amd64"); err != nil {
			t.Fatal(err)
		}
		query := fake.Queries()[len(fake.Queries())-1]
		if strings.Contains(query, "platform=") != want || !strings.Contains(query, "quiet=1") {
			t.Errorf("API %s: query %s", api, query)
		}
	}
}

func TestDialHijack(t *testing.T) {
	fake := storetest.StartFake(t, imagestore.KindClassic, "1.52")
	conn, err := dial(t, fake.Host(), nil).DialHijack(t.Context(), "/grpc", "h2c",
		map[string][]string{"X-Test": {"1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "hello"); err != nil {
		t.Fatal(err)
	}
	echo := make([]byte, 5)
	if _, err := io.ReadFull(conn, echo); err != nil || string(echo) != "hello" {
		t.Errorf("echo %q, %v", echo, err)
	}
}

func TestUses(t *testing.T) {
	fake := storetest.StartFake(t, imagestore.KindContainerd, "1.52")
	fake.Handle("GET /containers/json", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("all") != "1" {
			t.Errorf("query %s asks for the running ones alone", r.URL.RawQuery)
		}
		_, _ = io.WriteString(w, `[{"Id":"c1","Names":["/web"],"ImageID":"sha256:index",
			"ImageManifestDescriptor":{"digest":"sha256:manifest"}},
			{"Id":"c2","ImageID":"sha256:config"}]`)
	})
	got, err := dial(t, fake.Host(), nil).Uses(t.Context())
	want := []imagestore.Use{
		{Container: "web", Images: []string{"sha256:index", "sha256:manifest"}},
		{Container: "c2", Images: []string{"sha256:config"}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}
