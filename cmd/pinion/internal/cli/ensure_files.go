package cli

import (
	"cmp"
	"encoding/json"
	"fmt"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/output"
)

// resultFiles are --iidfile and --metadata-file. Both are written only if all names succeed.
type resultFiles struct{ iid, metadata *output.PendingFile }

// openResultFiles returns an error if the files cannot be written. Like buildx, it removes a stale
// image ID, which could be taken for the result of a failed build.
func openResultFiles(f *flags.Ensure) (files resultFiles, err error) {
	if f.IIDFile != "" {
		if files.iid, err = output.OpenPending(f.IIDFile); err != nil {
			return resultFiles{}, flags.Errorf("--iidfile: %w", err)
		}
	}
	if f.MetadataFile != "" {
		if files.metadata, err = output.OpenPending(f.MetadataFile); err != nil {
			files.discard()
			return resultFiles{}, flags.Errorf("--metadata-file: %w", err)
		}
	}
	if files.iid != nil {
		if err := files.iid.RemoveOld(); err != nil {
			files.discard()
			return resultFiles{}, flags.Errorf("--iidfile: %w", err)
		}
	}
	return files, nil
}

func (r resultFiles) discard() {
	for _, p := range []*output.PendingFile{r.iid, r.metadata} {
		if p != nil {
			p.Discard()
		}
	}
}

func (r resultFiles) commit(images []pinion.Image) error {
	if r.iid != nil && len(images) == 1 {
		if err := r.iid.Commit([]byte(images[0].ID)); err != nil {
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
	return r.metadata.Commit(text)
}

// metadata has the keys of `docker buildx build --metadata-file` (github.com/docker/buildx). Like
// buildx, it omits unknown values.
type metadata struct {
	BuildRef string `json:"buildx.build.ref,omitempty"`
	Config   string `json:"containerimage.config.digest,omitempty"`
	// Descriptor describes the manifest or the index.
	Descriptor *ocispecs.Descriptor `json:"containerimage.descriptor,omitempty"`
	// Digest is the manifest's. If the builder reported none (a hit in registry mode), it is the
	// store's ID.
	Digest string `json:"containerimage.digest"`
	Name   string `json:"image.name"`
	// Warnings are those of the image's build. buildx writes them if it is asked to.
	Warnings []buildWarning `json:"buildx.build.warnings,omitempty"`
}

// buildWarning is a warning in buildx's form, client.VertexWarning of BuildKit: Short and Detail
// are in base64. It has neither the step nor the Dockerfile's content.
type buildWarning struct {
	Level  int        `json:"level"`
	Short  []byte     `json:"short"`
	Detail [][]byte   `json:"detail,omitempty"`
	URL    string     `json:"url,omitempty"`
	Source *source    `json:"sourceInfo,omitempty"`
	Range  []lineSpan `json:"range,omitempty"`
}

type source struct {
	Filename string `json:"filename"`
}

type lineSpan struct {
	Start position `json:"start"`
	End   position `json:"end"`
}

type position struct {
	Line int `json:"line"`
}

func warningsOf(checks []pinion.BuildCheck) (all []buildWarning) {
	for _, c := range checks {
		w := buildWarning{Level: 1, Short: []byte(c.Text), URL: c.URL}
		if c.Rule != "" {
			w.Short = []byte(c.Rule + ": " + c.Text)
		}
		if c.Detail != "" {
			w.Detail = [][]byte{[]byte(c.Detail)}
		}
		if c.File != "" {
			w.Source = &source{c.File}
		}
		if c.Line > 0 {
			w.Short = fmt.Appendf(w.Short, " (line %d)", c.Line)
			w.Range = []lineSpan{{position{c.Line}, position{c.Line}}}
		}
		all = append(all, w)
	}
	return all
}

// metadataOf returns the object of one image, or the objects of several by name, like
// `docker buildx bake`.
func metadataOf(images []pinion.Image) any {
	byName := map[string]metadata{}
	for _, img := range images {
		byName[img.Name] = metadata{
			BuildRef: img.BuildRef, Config: img.ConfigDigest, Descriptor: img.Descriptor,
			Digest: cmp.Or(img.ManifestDigest, img.ID), Name: img.Reference,
			Warnings: warningsOf(img.Checks),
		}
	}
	if len(images) == 1 {
		return byName[images[0].Name]
	}
	return byName
}
