package buildkit

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"

	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// maxImageDocument is the greatest size of a manifest, a config or an attestation, in bytes.
const maxImageDocument = 4 << 20

// exported returns the descriptor in an exporter's response.
func exported(response map[string]string) (root ocispecs.Descriptor, err error) {
	raw, err := base64.StdEncoding.DecodeString(response[exptypes.ExporterImageDescriptorKey])
	if err == nil {
		err = json.Unmarshal(raw, &root)
	}
	if err != nil {
		return root, fmt.Errorf("the exported image's descriptor: %w", err)
	}
	return root, nil
}

// solved reads the documents of an image.
func (open openFunc) solved(
	ctx context.Context, root ocispecs.Descriptor,
) (image Solved, err error) {
	image.Descriptor = root
	if root.MediaType == ocispecs.MediaTypeImageIndex {
		if image.Descriptor, image.Around, err = open.unindexed(ctx, root); err != nil {
			return Solved{}, err
		}
	}
	var manifest ocispecs.Manifest
	whole, err := open.decode(ctx, image.Descriptor, &manifest)
	if err != nil {
		return Solved{}, err
	}
	config, err := open.whole(ctx, manifest.Config)
	image.Manifest, image.Config = whole.Data, config.Data
	return image, err
}

// decode reads a document into the value and returns its descriptor with the content in Data.
func (open openFunc) decode(
	ctx context.Context, desc ocispecs.Descriptor, into any,
) (ocispecs.Descriptor, error) {
	whole, err := open.whole(ctx, desc)
	if err != nil {
		return desc, err
	}
	if err := json.Unmarshal(whole.Data, into); err != nil {
		return desc, fmt.Errorf("%s (%s): %w", desc.Digest, desc.MediaType, err)
	}
	return whole, nil
}

// whole returns the descriptor with the content in Data. It verifies the content by the digest.
func (open openFunc) whole(
	ctx context.Context, desc ocispecs.Descriptor,
) (ocispecs.Descriptor, error) {
	body, err := open.read(ctx, desc)
	if err != nil {
		return desc, fmt.Errorf("read %s (%s): %w", desc.Digest, desc.MediaType, err)
	}
	desc.Data = body
	return desc, nil
}

func (open openFunc) read(ctx context.Context, desc ocispecs.Descriptor) ([]byte, error) {
	if err := desc.Digest.Validate(); err != nil {
		return nil, err
	}
	blob, err := open(ctx, desc)
	if err != nil {
		return nil, err
	}
	defer blob.Close()
	var body bytes.Buffer
	if _, err := io.Copy(&body, io.LimitReader(blob, maxImageDocument+1)); err != nil {
		return nil, err
	}
	switch got := desc.Digest.Algorithm().FromBytes(body.Bytes()); {
	case body.Len() > maxImageDocument:
		return nil, fmt.Errorf("it has more than %d bytes", maxImageDocument)
	case got != desc.Digest:
		return nil, fmt.Errorf("it arrived as %s", got)
	}
	return body.Bytes(), nil
}
