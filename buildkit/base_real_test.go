package buildkit_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/platforms"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

func TestBasePlatform(t *testing.T) { onBuilders(t, basePlatform) }

// basePlatform: an image must be what its label says, so the last stage begins with an image of the
// platform that is built, whatever lies between. Stages that are only copied from may differ.
func basePlatform(t *testing.T, b *bench) {
	registry := imageRegistry(t, storetest.Spec{Content: "x", Architecture: "arm64"}, "arm")
	own := imageRegistry(t, storetest.Spec{Content: "y"}, "own")
	for i, c := range []struct {
		name, dockerfile, platform string
		line                       int // of the refused FROM, 0 for none
	}{
		{"own", "FROM OWN\nCOPY f /", "linux/amd64", 0},
		{"other", "FROM ARM\nCOPY f /", "linux/amd64", 1},
		{"nothing on top", "FROM ARM", "linux/amd64", 1},
		{"the other way round", "FROM OWN\nCOPY f /", "linux/arm64", 1},
		{"386 for amd64", "FROM OWN\nCOPY f /", "linux/386", 1},
		{"of that platform by name", "FROM --platform=linux/arm64 ARM\nCOPY f /", "linux/amd64", 1},
		{"by an argument", "ARG base=ARM\nARG none\nFROM ${base}\nENV a=b\nCOPY f /", "linux/amd64",
			3},
		{"by a stage", "FROM ARM AS a\nCOPY f /\nFROM a AS b\nCOPY f /g\n" +
			"FROM b\nWORKDIR /h\nADD f /i/",
			"linux/amd64", 1},
		{"below a step", "FROM ARM\nCOPY busybox /bin/sh\nRUN echo x > /y", "linux/amd64", 1},
		{"below a link", "FROM ARM\nCOPY --link f /\nCOPY --link f /g", "linux/amd64", 1},
		{"copied from", "FROM ARM AS a\nFROM OWN\nCOPY --from=a /content.txt /g", "linux/amd64", 0},
		{"copied from into nothing", "FROM ARM AS a\nFROM scratch\nCOPY --from=a / /",
			"linux/amd64", 0},
		{"copied from by name", "FROM scratch\nCOPY --from=ARM / /", "linux/amd64", 0},
		{"the builder's platform in a stage before",
			"FROM --platform=$BUILDPLATFORM OWN AS a\nFROM scratch\nCOPY --from=a / /",
			"linux/arm64", 0},
	} {
		if strings.Contains(c.dockerfile, "--link") && b.Info().Version == "" {
			continue // the BuildKit of Docker 20.10 has none
		}
		t.Run(c.name, func(t *testing.T) {
			text := strings.NewReplacer("ARM", registry, "OWN", own).Replace(c.dockerfile)
			files := append(partstest.BusyboxTemplate(t), parts.Text("f", "x"))
			files[0] = parts.Text("Dockerfile", text+"\n")
			req := b.template(t, fmt.Sprintf("base%d", i), files...)
			req.Platform = platforms.MustParse(c.platform)
			_, _, err := solve(t, b, req)
			if c.line == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantError(t, err, buildkit.ErrRefused, fmt.Sprintf("Dockerfile:%d: ", c.line),
				"not "+c.platform)
			wantSituation(t, err, errdef.BasePlatform, "")

			req.AllowBasePlatform = true
			got := checksOf(&req)
			mustSolve(t, b, req)
			if n := slices.IndexFunc(*got, func(f buildkit.Check) bool {
				return f.Rule == buildkit.RuleBasePlatform && f.Line == c.line
			}); n < 0 {
				t.Errorf("found %+v", *got)
			}
			if n := strings.Count(fmt.Sprint(*got), buildkit.RuleBasePlatform); n != 1 {
				t.Errorf("found %d times: %+v", n, *got)
			}
		})
	}
}

// imageRegistry serves one image and returns its name.
func imageRegistry(t *testing.T, spec storetest.Spec, name string) string {
	t.Helper()
	image := storetest.Build(spec)
	manifest := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", ocispecs.MediaTypeImageManifest)
		w.Header().Set("Docker-Content-Digest", image.ManifestDigest.String())
		_, _ = w.Write(image.Manifest)
	}
	blob := func(body []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/v2/", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/v2/"+name+"/manifests/", manifest)
	mux.HandleFunc("/v2/"+name+"/blobs/"+image.ConfigDigest.String(), blob(image.Config))
	mux.HandleFunc("/v2/"+name+"/blobs/"+digest.FromBytes(image.Layer).String(), blob(image.Layer))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://") + "/" + name + ":1"
}
