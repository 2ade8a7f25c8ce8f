package buildkit

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	"github.com/moby/buildkit/util/attestation"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// Provenance is how much an image tells of how it was made (BuildKit, docs/attestations/slsa-provenance.md).
type Provenance string

const (
	// ProvenanceMin: the sources with their digests, and when it was built.
	ProvenanceMin Provenance = "min"
	// ProvenanceMax: all steps and the Dockerfile besides.
	ProvenanceMax Provenance = "max"
)

var errNotAttested = errors.New("the builder made no provenance; that takes BuildKit 0.11 or later (see `pinion doctor`)")

// errNoArchive goes before errUnreadable: the way that is left for an image alone does not do here.
var errNoArchive = errors.New("a docker archive holds no attestations (build again, use BuildKit 0.12 or later, or leave --attest out)")

// attrs ask for the statement. They go with the Build itself, since the builder makes the statement of all that was
// solved in it; one made of the frontend's solve alone would not know where the context came from.
func (p Provenance) attrs() map[string]string {
	if p == "" {
		return nil
	}
	return map[string]string{"attest:provenance": "mode=" + string(p)}
}

// subject is what the statement calls the image, besides its digest: without a name BuildKit leaves out both.
func (r Request) subject() string {
	if r.Provenance == "" {
		return ""
	}
	return cmp.Or(r.Name, r.Reference)
}

// check makes sure that what was exported has a statement if one was asked for: builders before BuildKit 0.11 take the
// attribute for one of the frontend's and say nothing.
func (p Provenance) check(told map[string]string) error {
	if p == "" {
		return nil
	}
	root, err := exported(told)
	if err == nil && root.MediaType != ocispecs.MediaTypeImageIndex {
		err = errNotAttested
	}
	if err != nil {
		return &Error{Op: "deliver", Kind: ErrDelivery, Err: err}
	}
	return nil
}

// exported is what an exporter names.
func exported(told map[string]string) (root ocispecs.Descriptor, err error) {
	raw, err := base64.StdEncoding.DecodeString(told[exptypes.ExporterImageDescriptorKey])
	if err == nil {
		err = json.Unmarshal(raw, &root)
	}
	if err != nil {
		return root, fmt.Errorf("the exported image's descriptor: %w", err)
	}
	return root, nil
}

// unindexed is the image in an index and all that goes along with it.
func (d *documents) unindexed(root ocispecs.Descriptor) (image ocispecs.Descriptor, around []ocispecs.Descriptor, err error) {
	index, err := d.whole(root)
	if err != nil {
		return image, nil, err
	}
	var list ocispecs.Index
	if err := json.Unmarshal(index.Data, &list); err != nil {
		return image, nil, fmt.Errorf("the exported index %s: %w", root.Digest, err)
	}
	for _, m := range list.Manifests {
		if m.Annotations[attestation.DockerAnnotationReferenceType] != attestation.DockerAnnotationReferenceTypeDefault {
			if image.Digest != "" {
				return image, nil, fmt.Errorf("the exported index %s has more than one image", root.Digest)
			}
			image = m
			continue
		}
		statement, err := d.statement(m)
		if err != nil {
			return image, nil, err
		}
		around = append(around, statement...)
	}
	return image, append(around, index), nil
}

// statement is an attestation's manifest, behind what it leads to.
func (d *documents) statement(m ocispecs.Descriptor) (all []ocispecs.Descriptor, err error) {
	whole, err := d.whole(m)
	if err != nil {
		return nil, err
	}
	var manifest ocispecs.Manifest
	if err := json.Unmarshal(whole.Data, &manifest); err != nil {
		return nil, fmt.Errorf("the exported manifest %s: %w", m.Digest, err)
	}
	for _, part := range append(manifest.Layers, manifest.Config) {
		if part, err = d.whole(part); err != nil {
			return nil, err
		}
		all = append(all, part)
	}
	return append(all, whole), nil
}

// whole is the descriptor with its content in it.
func (d *documents) whole(desc ocispecs.Descriptor) (ocispecs.Descriptor, error) {
	if desc.Data = d.get(desc.Digest); desc.Data == nil {
		return desc, fmt.Errorf("the builder did not export %s (%s)", desc.Digest, desc.MediaType)
	}
	return desc, nil
}
