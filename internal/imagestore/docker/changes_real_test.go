package docker_test

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/docker"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// The table of [docker.Engine.LastChange]: what changes a name is there when it has returned.
func TestRealEnginesReportChanges(t *testing.T) {
	for _, flavour := range parts.Flavours() {
		t.Run(string(flavour), func(t *testing.T) {
			testRealChanges(t, dial(t, partstest.Dockerd(t, flavour).Host(), nil), flavour)
		})
	}
}

func testRealChanges(t *testing.T, e *docker.Engine, flavour parts.Flavour) {
	const name, second = "pinion-storetest/change:1", "pinion-storetest/change:2"
	a := storetest.Build(storetest.Spec{Tag: name, Content: "one"})
	b := storetest.Build(storetest.Spec{Tag: second, Content: "two"})
	load := func(tar []byte) error { return e.Load(t.Context(), bytes.NewReader(tar), "") }
	id := func(of storetest.Archive) string { return of.ID(kindOf(flavour)) }
	prune := func() error {
		_, err := e.Client().ImagePrune(t.Context(), client.ImagePruneOptions{
			Filters: make(client.Filters).Add("dangling", "false")})
		return err
	}
	imported := func() error {
		resp, err := e.Client().ImageImport(t.Context(),
			client.ImageImportSource{Source: bytes.NewReader(a.Layer), SourceName: "-"}, name,
			client.ImageImportOptions{})
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, resp)
		return err
	}
	last, err := e.LastChange(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"load", func() error { return load(a.Tar) }},
		{"load of another", func() error { return load(b.Tar) }},
		{"load again", func() error { return load(a.Tar) }},
		{"a name moves", func() error { return e.Tag(t.Context(), id(b), name) }},
		{"a name stays", func() error { return e.Tag(t.Context(), id(b), name) }},
		{"a name moves back", func() error { return load(a.Tar) }},
		{"a name goes", func() error { return e.Untag(t.Context(), second) }},
		{"the last name goes", func() error { return e.Untag(t.Context(), name) }},
		{"import", imported},
		{"prune", prune},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		begun := time.Now()
		now, err := e.LastChange(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("%s: the question took %s", step.what, took)
		}
		if flavour == parts.Docker20 {
			if now != "" {
				t.Errorf("%s: %q of an engine that does not report enough", step.what, now)
			}
			continue
		}
		if now == "" || now == last {
			t.Errorf("%s is not reported: %q", step.what, now)
		}
		if again, err := e.LastChange(t.Context()); err != nil || again != now {
			t.Errorf("%s: %q without a change, %v", step.what, again, err)
		}
		last = now
	}
}
