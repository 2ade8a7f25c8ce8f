package e2e_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/docker"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
)

func dockerClient(t *testing.T, host string) *client.Client {
	t.Helper()
	c, err := client.New(client.WithHost(host))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// id is the image's ID, "" if the engine has none of that name.
func (s *scene) id(t *testing.T, ref string) string {
	t.Helper()
	got, err := s.docker.ImageInspect(t.Context(), ref)
	if cerrdefs.IsNotFound(err) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return got.ID
}

// wantImage checks by the engine's own word that the image is what Pinion says, and that nothing
// temporary is left.
func (s *scene) wantImage(t *testing.T, img pinion.Image) {
	t.Helper()
	got, err := s.docker.ImageInspect(t.Context(), img.Reference)
	if err != nil {
		t.Fatal(err)
	}
	if got.ID != img.ID {
		t.Errorf("%s is %s, not %s", img.Reference, got.ID, img.ID)
	}
	for label, want := range map[string]string{pinion.LabelRevision: img.Revision.String(),
		pinion.LabelSource: img.Repository} {
		if got.Config.Labels[label] != want {
			t.Errorf("label %s is %q, not %q", label, got.Config.Labels[label], want)
		}
	}
	if p := got.Os + "/" + got.Architecture; p != img.Platform {
		t.Errorf("platform is %s, not %s", p, img.Platform)
	}
	s.wantNothingTemporary(t, img.Name)
}

// tags lists all names that the engine has for a template's images.
func (s *scene) tags(t *testing.T, name string) (tags []string) {
	t.Helper()
	list, err := s.docker.ImageList(t.Context(), client.ImageListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, img := range list.Items {
		for _, tag := range img.RepoTags {
			// The engine pulls under a name with a registry before it.
			local, _ := docker.CutLoopback(tag)
			if strings.HasPrefix(local, "molecule-local/workspace-template-"+name+":") {
				tags = append(tags, tag)
			}
		}
	}
	return tags
}

func (s *scene) wantNothingTemporary(t *testing.T, name string) {
	t.Helper()
	for _, tag := range s.tags(t, name) {
		if strings.Contains(tag, "unverified") || strings.Contains(tag, "127.0.0.1") {
			t.Errorf("%s is left behind", tag)
		}
	}
}

func (s *scene) tag(t *testing.T, from, to string) {
	t.Helper()
	if _, err := s.docker.ImageTag(t.Context(),
		client.ImageTagOptions{Source: from, Target: to}); err != nil {
		t.Fatal(err)
	}
}

// remove removes one name of an image, or with force the image with all its names.
func (s *scene) remove(t *testing.T, ref string, force bool) {
	t.Helper()
	if _, err := s.docker.ImageRemove(t.Context(), ref,
		client.ImageRemoveOptions{Force: force, PruneChildren: true}); err != nil {
		t.Fatal(err)
	}
}

// foreign loads an image that Pinion did not build.
func (s *scene) foreign(t *testing.T, spec storetest.Spec) {
	t.Helper()
	resp, err := s.docker.ImageLoad(t.Context(), bytes.NewReader(storetest.Build(spec).Tar))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Close()
	if _, err := io.Copy(io.Discard, resp); err != nil {
		t.Fatal(err)
	}
	if s.id(t, spec.Tag) == "" {
		t.Fatalf("%s was not loaded", spec.Tag)
	}
}

// runContainer runs the command of an image in a container, and returns what it prints.
func (s *scene) runContainer(t *testing.T, image string) string {
	t.Helper()
	ctx := t.Context()
	made, err := s.docker.ContainerCreate(ctx, client.ContainerCreateOptions{
		// A terminal, so that stdout comes as it is and not in frames.
		Config:     &container.Config{Image: image, Tty: true},
		HostConfig: &container.HostConfig{NetworkMode: "none"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if _, err := s.docker.ContainerRemove(ctx, made.ID,
			client.ContainerRemoveOptions{Force: true}); err != nil {
			t.Error(err)
		}
	}()
	wait := s.docker.ContainerWait(ctx, made.ID,
		client.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
	if _, err := s.docker.ContainerStart(ctx, made.ID, client.ContainerStartOptions{}); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-wait.Error:
		t.Fatal(err)
	case <-wait.Result:
	}
	logs, err := s.docker.ContainerLogs(ctx, made.ID,
		client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true})
	if err != nil {
		t.Fatal(err)
	}
	defer logs.Close()
	out, err := io.ReadAll(logs)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(out), "\r\n", "\n")
}
