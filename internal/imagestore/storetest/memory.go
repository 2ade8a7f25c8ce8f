package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// Memory is an image store in memory, for the tests of packages that use a store. It keeps no
// layers, and Receive stores the image that was passed to Expect. The methods are safe for
// concurrent use. A test may read and change the fields while no other goroutine uses the store.
type Memory struct {
	Address    string // what Endpoint returns
	ID         string
	RootDir    string // what Info says
	Kind       imagestore.Kind
	Images     map[string]imagestore.Image // by ID, without the tags
	Tags       map[string]string           // reference to ID
	Containers []imagestore.Use
	Published  string // the ID of the image that Pull fetches

	// Before, if set, is called before each request with the operation of [imagestore.Error], or
	// "receive". It may use the store. The request fails with the error that it returns.
	Before func(op, ref string) error

	// Inspected counts the requests of Inspect.
	Inspected int
	// Transfers, Pulled ("REFERENCE PLATFORM"), Pushed ("REFERENCE ID") and Untagged are the
	// requests so far that arrived.
	Transfers                []imagestore.Transfer
	Pulled, Pushed, Untagged []string
	// Progress is what a pull or a push reports.
	Progress []imagestore.Progress

	mu       sync.Mutex
	expected imagestore.Image
}

// NewMemory returns an empty store.
func NewMemory(kind imagestore.Kind) *Memory {
	return &Memory{Address: "unix:///fake.sock", ID: "fake", Kind: kind, Published: "sha256:pulled",
		Images: map[string]imagestore.Image{}, Tags: map[string]string{}}
}

// Refuse returns a function for [Memory.Before] that fails an operation on a reference. "" stands
// for each operation and for each reference.
func Refuse(op, ref string, err error) func(op, ref string) error {
	return func(gotOp, gotRef string) error {
		if op != "" && op != gotOp || ref != "" && ref != gotRef {
			return nil
		}
		return err
	}
}

// Put stores an image under a name.
func (m *Memory) Put(img imagestore.Image, ref string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(img, ref)
}

// Expect sets the image that Receive stores.
func (m *Memory) Expect(img imagestore.Image) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expected = img
}

// References returns a copy of the tags.
func (m *Memory) References() map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.Tags)
}

// Endpoint implements [imagestore.Store].
func (m *Memory) Endpoint() string { return m.Address }

// Info implements [imagestore.Store].
func (m *Memory) Info(ctx context.Context) (imagestore.EngineInfo, error) {
	if err := m.begin(ctx, "info", ""); err != nil {
		return imagestore.EngineInfo{}, err
	}
	return imagestore.EngineInfo{Version: "29.0.0", APIVersion: "1.52", Kind: m.Kind,
		Platform: "linux/arm64", OSType: "linux", ID: m.ID, RootDir: m.RootDir}, nil
}

// Inspections returns the number of inspections so far. Inspected is for a test in which none is
// under way.
func (m *Memory) Inspections() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.Inspected
}

// Inspect implements [imagestore.Store].
func (m *Memory) Inspect(ctx context.Context, ref string) (imagestore.Image, error) {
	if err := m.begin(ctx, "inspect", ref); err != nil {
		return imagestore.Image{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Inspected++
	id, ok := m.Tags[ref]
	if !ok {
		id = ref
	}
	img, ok := m.Images[id]
	if !ok {
		return imagestore.Image{}, failure("inspect", ref, imagestore.ErrNotFound)
	}
	return m.describe(img), nil
}

// InspectPlatform implements [imagestore.Store]. An image has one platform.
func (m *Memory) InspectPlatform(
	ctx context.Context, ref, _ string,
) (imagestore.Image, error) {
	return m.Inspect(ctx, ref)
}

// Tag implements [imagestore.Store].
func (m *Memory) Tag(ctx context.Context, id, ref string) error {
	if err := m.begin(ctx, "tag", ref); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.Images[id]; !ok {
		return failure("tag", ref, imagestore.ErrNotFound)
	}
	m.Tags[ref] = id
	return nil
}

// Untag implements [imagestore.Store]. The image goes with its last name.
func (m *Memory) Untag(ctx context.Context, ref string) error {
	if err := m.begin(ctx, "untag", ref); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	id, ok := m.Tags[ref]
	if !ok {
		return failure("untag", ref, imagestore.ErrNotFound)
	}
	delete(m.Tags, ref)
	m.Untagged = append(m.Untagged, ref)
	if len(m.tagsOf(id)) == 0 {
		delete(m.Images, id)
	}
	return nil
}

// Remove implements [imagestore.Remover].
func (m *Memory) Remove(ctx context.Context, id string) error {
	if err := m.begin(ctx, "remove", id); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.Images[id]; !ok {
		return failure("remove", id, imagestore.ErrNotFound)
	}
	if tags := m.tagsOf(id); len(tags) > 0 {
		return failure("remove", id, fmt.Errorf("the image has the names %q", tags))
	}
	delete(m.Images, id)
	return nil
}

// List implements [imagestore.Store].
func (m *Memory) List(ctx context.Context, labelKey string) (list []imagestore.Image, err error) {
	if err := m.begin(ctx, "list", ""); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, img := range m.Images {
		if _, ok := img.Labels[labelKey]; ok || labelKey == "" {
			list = append(list, m.describe(img))
		}
	}
	return list, nil
}

// Uses implements [imagestore.Store].
func (m *Memory) Uses(ctx context.Context) ([]imagestore.Use, error) {
	if err := m.begin(ctx, "list containers", ""); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.Containers), nil
}

// begin returns the error of a request that fails.
func (m *Memory) begin(ctx context.Context, op, ref string) error {
	err := ctx.Err()
	if err == nil && m.Before != nil {
		err = m.Before(op, ref)
	}
	if typed, ok := errors.AsType[*imagestore.Error](err); ok {
		return typed
	}
	if err != nil {
		return failure(op, ref, err)
	}
	return nil
}

func failure(op, ref string, err error) error {
	return &imagestore.Error{Op: op, Origin: imagestore.OriginDocker, Ref: ref, Err: err}
}

// put stores an image under a name. The caller holds the lock, as for the methods below.
func (m *Memory) put(img imagestore.Image, ref string) {
	m.Images[img.ID] = img
	m.Tags[ref] = img.ID
}

// describe returns an image with its tags.
func (m *Memory) describe(img imagestore.Image) imagestore.Image {
	img.Tags = m.tagsOf(img.ID)
	return img
}

func (m *Memory) tagsOf(id string) (tags []string) {
	for tag, of := range m.Tags {
		if of == id {
			tags = append(tags, tag)
		}
	}
	slices.Sort(tags)
	return tags
}
