package cli

import (
	"cmp"
	"encoding/json"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion"
)

// resultFiles are --iidfile and --metadata-file. Both are written only if all names succeeded.
type resultFiles struct{ iid, metadata *pendingFile }

// prepare finds out whether the files can be written. Like buildx it removes an image ID of old, so
// that none is taken for that of a build which failed.
func (f *ensureFlags) prepare() (files resultFiles, err error) {
	if f.iidFile != "" {
		if files.iid, err = openPending(f.iidFile); err != nil {
			return resultFiles{}, usage("--iidfile: %w", err)
		}
	}
	if f.metadataFile != "" {
		if files.metadata, err = openPending(f.metadataFile); err != nil {
			files.discard()
			return resultFiles{}, usage("--metadata-file: %w", err)
		}
	}
	if files.iid != nil {
		if err := files.iid.removeOld(); err != nil {
			files.discard()
			return resultFiles{}, usage("--iidfile: %w", err)
		}
	}
	return files, nil
}

func (r resultFiles) discard() {
	for _, p := range []*pendingFile{r.iid, r.metadata} {
		if p != nil {
			p.discard()
		}
	}
}

func (r resultFiles) commit(images []pinion.Image) error {
	if r.iid != nil && len(images) == 1 {
		if err := r.iid.commit([]byte(images[0].ID)); err != nil {
			return err
		}
	}
	if r.metadata == nil {
		return nil
	}
	text, err := json.MarshalIndent(metadataOf(images), "", "  ")
	if err != nil {
		return err
	}
	return r.metadata.commit(text)
}

// metadata has the keys of buildx's file of that name (github.com/docker/buildx, "build
// --metadata-file"). Like buildx it leaves out what is not known.
type metadata struct {
	BuildRef string `json:"buildx.build.ref,omitempty"`
	Config   string `json:"containerimage.config.digest,omitempty"`
	// Descriptor is the manifest's or the index's.
	Descriptor *ocispecs.Descriptor `json:"containerimage.descriptor,omitempty"`
	// Digest is the manifest's; where the builder told none (a hit in registry mode), the store's
	// ID.
	Digest string `json:"containerimage.digest"`
	Name   string `json:"image.name"`
}

// metadataOf is the object of one image, or like `buildx bake`'s the objects by name.
func metadataOf(images []pinion.Image) any {
	byName := map[string]metadata{}
	for _, img := range images {
		byName[img.Name] = metadata{
			BuildRef: img.BuildRef, Config: img.ConfigDigest, Descriptor: img.Descriptor,
			Digest: cmp.Or(img.ManifestDigest, img.ID), Name: img.Reference,
		}
	}
	if len(images) == 1 {
		return byName[images[0].Name]
	}
	return byName
}
