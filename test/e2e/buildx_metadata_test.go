package e2e_test

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// TestBuildxMetadata: the metadata file has the keys that buildx writes for the same commit on the
// same builder, and its build reference leads to the build in the builder's history.
func TestBuildxMetadata(t *testing.T) {
	partstest.OnSomeDays(t)
	const configDigest, descriptor, manifest = "containerimage.config.digest",
		"containerimage.descriptor", "containerimage.digest"
	const warnings = "buildx.build.warnings"
	for _, c := range []cell{classicStandalone, containerdStandalone, classicOwn, containerdOwn} {
		t.Run(c.String(), func(t *testing.T) {
			s := newBuildxScene(t, c)
			s.user = s.with("BUILDX_METADATA_PROVENANCE", "disabled",
				"BUILDX_METADATA_WARNINGS", "1")
			delete(s.env, "BUILDKIT_HOST")
			builder, node := "default", "default/default/"
			if c.standalone {
				builder, node = "own", "own/own0/"
				s.buildx(t, "create", "--name", builder, "--driver", "remote", buildkitd(t).Addr())
			}
			tmpl := s.template(t, runtime, parts.RepoOptions{})
			sha := tmpl.busybox(t, "LABEL of metadata", "RUN echo metadata")
			file := filepath.Join(s.env["HOME"], "metadata.json")
			s.buildx(t, "build", "--builder", builder, "--load", "--tag", "theirs",
				"--metadata-file", file,
				"--provenance=false", tmpl.url()+".git#"+sha)
			theirs := metadata(t, file)

			s.succeed(t, "ensure", runtime, "--builder", builder, "--metadata-file", file)
			ours := metadata(t, file)
			// For the containerd store the builder reports no config to buildx. Pinion reads it
			// from the image.
			delete(theirs, configDigest)
			delete(ours, configDigest)
			if got, want := keys(ours), keys(theirs); !slices.Equal(got, want) {
				t.Errorf("the keys are %q, buildx's are %q", got, want)
			}
			wantWarnings(t, ours[warnings], theirs[warnings])
			ref, _ := ours["buildx.build.ref"].(string)
			id, ok := strings.CutPrefix(ref, node)
			if !ok {
				t.Fatalf("the build is %q", ref)
			}
			if shown := s.buildx(
				t, "history", "inspect", "--builder", builder, id,
			); !strings.Contains(shown, tmpl.reference(sha)) {
				t.Errorf("the history has of %s\n%s", ref, shown)
			}
			if whole, ok := ours[descriptor].(map[string]any); ok {
				if whole["digest"] != ours[manifest] ||
					whole["mediaType"] != ocispecs.MediaTypeImageManifest || whole["size"] == 0. {
					t.Errorf("the descriptor of %v is %v", ours[manifest], whole)
				}
				want := theirs[descriptor].(map[string]any)
				if c.standalone {
					// the time of an export to an archive, which Pinion does not ask for
					delete(want, "annotations")
				}
				if got, want := keys(whole), keys(want); !slices.Equal(got, want) {
					t.Errorf("the descriptor has %q, buildx's has %q", got, want)
				}
			}

			s.succeed(t, "ensure", runtime, "--builder", builder, "--metadata-file", file)
			hit := metadata(t, file)
			delete(hit, configDigest)
			delete(ours, "buildx.build.ref")
			if !reflect.DeepEqual(hit, ours) {
				t.Errorf("a hit has %v, the build had %v", hit, ours)
			}
			if c == containerdOwn {
				s.succeed(t, "ensure", runtime, "--attest", "type=provenance",
					"--metadata-file", file)
				index := metadata(t, file)[descriptor].(map[string]any)
				if index["mediaType"] != ocispecs.MediaTypeImageIndex {
					t.Errorf("with provenance the descriptor is %v", index)
				}
			}
		})
	}
}

// wantWarnings compares warnings with those of buildx. Ours have neither the step, nor what the
// Dockerfile holds, nor columns.
func wantWarnings(t *testing.T, ours, theirs any) {
	t.Helper()
	list, _ := theirs.([]any)
	for _, w := range list {
		w := w.(map[string]any)
		delete(w, "vertex")
		name := w["sourceInfo"].(map[string]any)["filename"]
		w["sourceInfo"] = map[string]any{"filename": name}
		for _, r := range w["range"].([]any) {
			for _, end := range r.(map[string]any) {
				delete(end.(map[string]any), "character")
			}
		}
	}
	if len(list) == 0 || !reflect.DeepEqual(ours, theirs) {
		t.Errorf("the warnings are %v, buildx's are %v", ours, theirs)
	}
}

func metadata(t *testing.T, file string) (m map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(read(t, file)), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func keys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
