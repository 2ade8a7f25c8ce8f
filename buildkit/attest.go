package buildkit

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"strings"

	"github.com/moby/buildkit/util/attestation"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// Provenance is how much an image tells of how it was made (BuildKit,
// docs/attestations/slsa-provenance.md).
type Provenance string

const (
	// ProvenanceMin: the sources with their digests, and when it was built.
	ProvenanceMin Provenance = "min"
	// ProvenanceMax: all steps and the Dockerfile besides.
	ProvenanceMax Provenance = "max"
)

// ParseProvenance returns the mode in an entry as `docker buildx build --attest` takes it:
// type=provenance with mode=min or mode=max (the default), or the type alone. It rejects all other
// entries with an error that is [git.ErrInvalid].
func ParseProvenance(entry string) (Provenance, error) {
	fields, err := csv.NewReader(strings.NewReader(entry)).Read()
	if err != nil {
		fields = []string{""}
	}
	if len(fields) == 1 && !strings.Contains(fields[0], "=") {
		fields[0] = "type=" + fields[0]
	}
	attrs := map[string]string{"mode": string(ProvenanceMax)}
	for _, field := range fields {
		key, value, _ := strings.Cut(field, "=")
		attrs[key] = value
	}
	mode := Provenance(attrs["mode"])
	switch {
	case attrs["type"] == "sbom":
		return "", errdef.In(errdef.SBOMRequested, "", fmt.Errorf("%w: attest %q: a list of "+
			"what is inside takes an image that scans, which is code from outside the template",
			git.ErrInvalid, entry))
	case attrs["type"] != "provenance", len(attrs) != 2,
		mode != ProvenanceMin && mode != ProvenanceMax:
		return "", fmt.Errorf("%w: attest %q is neither type=provenance,mode=min nor "+
			"type=provenance,mode=max", git.ErrInvalid, entry)
	}
	return mode, nil
}

var errNotAttested = errors.New("the builder made no provenance; that takes BuildKit 0.11 or " +
	"later (see `pinion doctor`)")

// errNoArchive goes before errUnreadable: the way that is left for an image alone does not do here.
var errNoArchive = errors.New("a docker archive holds no attestations (build again, use BuildKit " +
	"0.12 or later, or leave --attest out)")

// attrs ask for the statement. They go with the Build itself, since the builder makes the statement
// of all that was solved in it; one made of the frontend's solve alone would not know where the
// context came from.
func (p Provenance) attrs() map[string]string {
	if p == "" {
		return nil
	}
	return map[string]string{"attest:provenance": "mode=" + string(p)}
}

// subject is what the statement calls the image, besides its digest: without a name BuildKit leaves
// out both.
func (r Request) subject() string {
	if r.Provenance == "" {
		return ""
	}
	return cmp.Or(r.Name, r.Reference)
}

// check makes sure that what was exported has a statement if one was asked for: builders before
// BuildKit 0.11 take the attribute for one of the frontend's and say nothing.
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

// unindexed is the image in an index and all that goes along with it.
func (open openFunc) unindexed(ctx context.Context,
	root ocispecs.Descriptor) (image ocispecs.Descriptor, around []ocispecs.Descriptor, err error) {
	var list ocispecs.Index
	index, err := open.decode(ctx, root, &list)
	if err != nil {
		return image, nil, err
	}
	for _, m := range list.Manifests {
		if m.Annotations[attestation.DockerAnnotationReferenceType] != attestation.DockerAnnotationReferenceTypeDefault {
			if image.Digest != "" {
				return image, nil, fmt.Errorf("the exported index %s has more than one image",
					root.Digest)
			}
			image = m
			continue
		}
		statement, err := open.statement(ctx, m)
		if err != nil {
			return image, nil, err
		}
		around = append(around, statement...)
	}
	return image, append(around, index), nil
}

// statement is an attestation's manifest, behind what it leads to.
func (open openFunc) statement(ctx context.Context,
	m ocispecs.Descriptor) (all []ocispecs.Descriptor, err error) {
	var manifest ocispecs.Manifest
	whole, err := open.decode(ctx, m, &manifest)
	if err != nil {
		return nil, err
	}
	for _, part := range append(manifest.Layers, manifest.Config) {
		if part, err = open.whole(ctx, part); err != nil {
			return nil, err
		}
		all = append(all, part)
	}
	return append(all, whole), nil
}
