package buildkit_test

import (
	"fmt"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// outage is how long a registry is away in these tests.
const outage = 5 * time.Second

func TestRegistryComesBack(t *testing.T) { onEachBuilder(t, registryComesBack) }

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
