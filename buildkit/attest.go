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

// Provenance is the mode of a provenance attestation (BuildKit,
// docs/attestations/slsa-provenance.md). "" means no attestation.
type Provenance string

const (
	// ProvenanceMin records the sources with their digests, and the time of the build.
	ProvenanceMin Provenance = "min"
	// ProvenanceMax records all steps and the Dockerfile too.
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

var errNotAttested = errors.New(
	"the builder made no provenance, which takes BuildKit 0.11 or later")

// errNoArchive comes with errUnreadable if a docker archive cannot replace the image.
var errNoArchive = errors.New("a docker archive holds no attestations")

// attrs returns the attributes that request the attestation. They belong to the Build itself, whose
// attestation covers all that was solved in it. An attestation of the frontend's solve alone would
// not name the source of the context.
func (p Provenance) attrs() map[string]string {
	if p == "" {
		return nil
	}
	return map[string]string{"attest:provenance": "mode=" + string(p)}
}

// subject returns the image's name in the attestation, or "" if there is none. Without a name
// BuildKit leaves out the image's digest too.
func (r Request) subject() string {
	if r.Provenance == "" {
		return ""
	}
	return cmp.Or(r.Name, r.Reference)
}

// errNothingToAttest: BuildKit attests layers, and ignores the request without one.
var errNothingToAttest = errors.New("the image has no layers, so the builder makes no " +
	"provenance: the Dockerfile needs an instruction that adds files")

// check returns an error if p was requested and the exported image has no attestation. Builders
// before BuildKit 0.11 ignore the attribute without an error.
func (p Provenance) check(response map[string]string, noLayers bool) error {
	if p == "" {
		return nil
	}
	root, err := exported(response)
	switch {
	case err == nil && root.MediaType == ocispecs.MediaTypeImageIndex:
	case noLayers:
		return &Error{Op: "deliver", Kind: ErrRefused, Err: errNothingToAttest}
	case err == nil:
		err = errdef.In(errdef.BuilderTooOld, "", errNotAttested)
	}
	if err != nil {
		return &Error{Op: "deliver", Kind: ErrDelivery, Err: err}
	}
	return nil
}

// unindexed returns the image in an index, and the documents of its attestations with the index
// last.
func (open openFunc) unindexed(
	ctx context.Context, root ocispecs.Descriptor,
) (image ocispecs.Descriptor, around []ocispecs.Descriptor, err error) {
	var list ocispecs.Index
	index, err := open.decode(ctx, root, &list)
	if err != nil {
		return image, nil, err
	}
	for _, m := range list.Manifests {
		if !isAttestation(m) {
			if image.Digest != "" {
				return image, nil,
					fmt.Errorf("the exported index %s has more than one image", root.Digest)
			}
			image = m
			continue
		}
		documents, err := open.attestation(ctx, m)
		if err != nil {
			return image, nil, err
		}
		around = append(around, documents...)
	}
	return image, append(around, index), nil
}

func isAttestation(m ocispecs.Descriptor) bool {
	return m.Annotations[attestation.DockerAnnotationReferenceType] ==
		attestation.DockerAnnotationReferenceTypeDefault
}

// attestation returns the documents of an attestation, its manifest last.
func (open openFunc) attestation(
	ctx context.Context, m ocispecs.Descriptor,
) (all []ocispecs.Descriptor, err error) {
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
