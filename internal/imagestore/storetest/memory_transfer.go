package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// Receive implements [imagestore.Store]. It stores the expected image as an engine does by a pull:
// under the transfer's reference at a registry on the loopback interface.
func (m *Memory) Receive(
	ctx context.Context, t imagestore.Transfer,
) (imagestore.Result, error) {
	ref := t.Image.Reference
	if err := m.begin(ctx, "receive", ref); err != nil {
		return imagestore.Result{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Transfers = append(m.Transfers, t)
	got := imagestore.Result{Kind: m.Kind}
	if _, ok := m.Images[m.expected.ID]; !ok {
		got.Name, got.Via = "127.0.0.1:4000/"+ref, buildkit.ViaPull
		m.put(m.expected, got.Name)
	} else if m.Tags[ref] == m.expected.ID {
		got.Name = ref
	}
	got.Image = m.describe(m.expected)
	return got, nil
}

// Load implements [imagestore.Store].
func (m *Memory) Load(ctx context.Context, archive io.Reader, _ string) error {
	if err := m.begin(ctx, "load", ""); err != nil {
		return err
	}
	upload := imagestore.NewUpload(ctx, archive)
	got, err := (&Fake{kind: m.Kind}).unpack(upload.Body)
	if err = errors.Join(ctx.Err(), upload.End(), err); err == nil && !got.complete {
		err = errors.New("content digest: not found")
	}
	if err != nil {
		return failure("load", "", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Images[got.id] = imageOf(got)
	for _, tag := range got.tags {
		m.Tags[tag] = got.id
	}
	return nil
}

// Pull implements [imagestore.Store].
func (m *Memory) Pull(
	ctx context.Context, ref, platform string, progress func(imagestore.Progress),
) error {
	if err := m.begin(ctx, "pull", ref); err != nil {
		return err
	}
	m.report(progress)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Pulled = append(m.Pulled, ref+" "+platform)
	m.put(imagestore.Image{ID: m.Published, Platform: platform}, ref)
	return nil
}

// Push implements [imagestore.Pusher]. The digest in the registry is the ID.
func (m *Memory) Push(
	ctx context.Context, p imagestore.Push, progress func(imagestore.Progress),
) (string, error) {
	if err := m.begin(ctx, "push", p.Ref); err != nil {
		return "", err
	}
	m.report(progress)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Pushed = append(m.Pushed, p.Ref+" "+p.ID)
	return p.ID, nil
}

func (m *Memory) report(progress func(imagestore.Progress)) {
	if progress == nil {
		return
	}
	for _, p := range m.Progress {
		progress(p)
	}
}

func imageOf(l loaded) imagestore.Image {
	var config ocispec.Image
	must(0, json.Unmarshal(l.config, &config))
	return imagestore.Image{ID: l.id, Labels: config.Config.Labels, Size: l.size,
		Platform: imagestore.FormatPlatform(config.OS, config.Architecture, config.Variant),
		Created:  *config.Created}
}
