package buildkit_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// outage is how long a registry is away in these tests.
const outage = 5 * time.Second

func TestRegistryComesBack(t *testing.T)  { onBuilders(t, registryComesBack) }
func TestGitServerComesBack(t *testing.T) { onBuilders(t, gitServerComesBack) }

// registryComesBack: the registry of the base image is away at the start of a build, or breaks off
// in the middle of a layer. The build succeeds by itself, and no blob that was sent whole is
// fetched again.
func registryComesBack(t *testing.T, b *bench) {
	registry := partstest.Registry(t, parts.RegistryOptions{})
	for name, begin := range map[string]func(f *parts.Front, layers []string){
		"503":     func(f *parts.Front, _ []string) { f.Down(503, outage) },
		"429":     func(f *parts.Front, _ []string) { f.Down(429, outage) },
		"refused": func(f *parts.Front, _ []string) { f.Down(0, outage) },
		// The config comes first, and then three layers at once.
		"broken-503": func(f *parts.Front, layers []string) {
			f.BreakOff(layers[1], 3, func() { f.Down(503, outage) })
		},
		"broken-refused": func(f *parts.Front, layers []string) {
			f.BreakOff(layers[1], 3, func() { f.Down(0, outage) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			front, err := parts.NewFront(registry)
			if err != nil {
				t.Fatal(err)
			}
			defer front.Close()
			layers, err := registry.PushImage(t.Context(), "base", name, 1<<20, 4<<20, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			begin(front, layers)
			started := time.Now()
			req := b.template(t, "comesback"+name, parts.Text("Dockerfile",
				fmt.Sprintf("FROM %s/base:%s\nCOPY Dockerfile /\n", front.Host(), name)))
			_, out, err := solve(t, b, req)
			if took := time.Since(started); err != nil || took < outage {
				t.Errorf("after %s: %v\n%s", took, err, out)
			}
			whole := front.Whole()
			for digest, n := range whole {
				if n != 1 {
					t.Errorf("%s was sent %d times", digest, n)
				}
			}
			if whole[layers[0]] != 1 || whole[layers[2]] != 1 {
				t.Errorf("sent were %v", whole)
			}
		})
	}
}

// gitServerComesBack: the git server is away when the builder fetches the commit, or breaks off.
// Docker 20.10 does not say why a fetch failed.
func gitServerComesBack(t *testing.T, b *bench) {
	for name, answer := range map[string]func(w http.ResponseWriter){
		"503":        func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) },
		"429":        func(w http.ResponseWriter) { w.WriteHeader(http.StatusTooManyRequests) },
		"broken off": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			req := b.busybox(t, "gitcomesback"+name[:3], nil)
			server, path, _ := strings.Cut(strings.TrimPrefix(req.Remote.GitURL(), "http://"), "/")
			front := partstest.Proxy(t, "http://"+server)
			remote, err := git.ParseRemote(front.URL() + "/" + path)
			if err != nil {
				t.Fatal(err)
			}
			req.Remote = remote
			up := time.Now().Add(outage)
			front.SetHook(func(w http.ResponseWriter, _ *http.Request) bool {
				if away := time.Now().Before(up); !away {
					return false
				}
				answer(w)
				return true
			})
			res, out, err := solve(t, b, req)
			switch {
			case strings.Contains(t.Name(), string(parts.Docker20)):
				wantError(t, err, buildkit.ErrFetch)
			case err != nil || res.Fetch.Strategy != buildkit.StrategyCommit:
				t.Errorf("fetched %+v: %v\n%s", res.Fetch, err, out)
			}
		})
	}
}
