package cache

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// SchemaVersion is the version of the record format that this package writes.
// It rises when a reader of the older format would misunderstand a record.
const SchemaVersion = 1

// Record says which image a build left in which image store. Line is the
// digest of the recipe without its commit, so that the records of one template
// are in one folder; Key is the digest of the whole recipe.
type Record struct {
	Schema int    `json:"schema"` // set by Put
	Key    string `json:"key"`    // digest of the recipe, lower-case hex, "sha256:" allowed
	// digest of the recipe without the commit
	Line string `json:"line"`
	// the store's endpoint, as imagestore reports it
	Store string `json:"store"`
	// "classic", "containerd" or "oci"; it determines what ImageID is
	StoreKind string `json:"store_kind"`
	Name      string `json:"name"`      // the template
	Reference string `json:"reference"` // repository:tag
	// the image's ID in the store: a config or a manifest digest
	ImageID        string `json:"image_id"`
	ConfigDigest   string `json:"config_digest"`   // "" if the builder did not report it
	ManifestDigest string `json:"manifest_digest"` // "" if the builder did not report it
	Revision       string `json:"revision"`        // the commit, full length; "" for a working tree
	Tree           string `json:"tree,omitempty"`  // the working tree's digest; "" for a commit
	// the ref that was looked up, HEAD or refs/heads/...
	Ref        string            `json:"ref"`
	Repository string            `json:"repository"`       // the repo's URL without credentials
	Platform   string            `json:"platform"`         // os/arch[/variant]
	Labels     map[string]string `json:"labels,omitempty"` // those that the caller set
	Size       int64             `json:"size"`             // bytes, as the store counts them
	// digests of the blobs that were delivered to the store for the image, if they are known
	Layers  []string  `json:"layers,omitempty"`
	BuiltAt time.Time `json:"built_at"` // for display and for ordering only
	Builder Builder   `json:"builder"`

	// Provenance is the attestation that was requested with the image: "min", "max" or "" for
	// none.
	Provenance string `json:"provenance,omitempty"`
	// Descriptor is the builder's description of the image; nil if there is none, and in older
	// records.
	Descriptor *ocispecs.Descriptor `json:"descriptor,omitempty"`
	// Form is the part of the tag for a template that is not built in its usual form; "" otherwise.
	Form string `json:"form,omitempty"`
	// Args are the values of the build arguments.
	Args map[string]string `json:"args,omitempty"`
	// PullRequest is the number of the pull request whose head Revision was; 0 for a branch.
	PullRequest int `json:"pull_request,omitempty"`
	// Isolation is the token that keeps users of one store apart; "" if there is none.
	Isolation string `json:"isolation,omitempty"`
	// Dialect is how the git server was asked, in the resolver's words; "" for the usual way.
	Dialect string `json:"dialect,omitempty"`
	// StoreID is what distinguishes the store from another one at the same address; "" in older
	// records.
	StoreID string `json:"store_id,omitempty"`
	// Prewarmed: no caller waited for the image when its build began.
	Prewarmed bool `json:"prewarmed,omitempty"`
	// Checks are what BuildKit remarked on the Dockerfile; nil in older records.
	Checks []Check `json:"checks,omitempty"`
}

// Check is a remark of BuildKit. Each field but Text may be unknown.
type Check struct {
	Rule   string `json:"rule,omitempty"`
	Text   string `json:"text"`
	Detail string `json:"detail,omitempty"`
	URL    string `json:"url,omitempty"`
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
}

// Builder is what built the image.
type Builder struct {
	Kind     string `json:"kind"` // docker, buildkitd, buildx or managed
	Endpoint string `json:"endpoint"`
	Version  string `json:"version"`
}

// maxRecordSize bounds a record file, in bytes. A record takes about one kilobyte.
const maxRecordSize = 1 << 20

var errTooLarge = fmt.Errorf("%w: larger than %d bytes", ErrInvalidRecord, maxRecordSize)

// decode reads exactly one record of this schema, and requires the fields that
// its path depends on.
func decode(r io.Reader) (Record, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxRecordSize+1))
	if err != nil {
		return Record{}, err
	}
	if len(data) > maxRecordSize {
		return Record{}, errTooLarge
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	var rec Record
	if err := dec.Decode(&rec); err != nil {
		return Record{}, errors.Join(ErrInvalidRecord, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Record{}, fmt.Errorf("%w: data after the record", ErrInvalidRecord)
	}
	if rec.Schema != SchemaVersion {
		return Record{}, fmt.Errorf("%w: schema %d, this version reads %d", ErrInvalidRecord,
			rec.Schema, SchemaVersion)
	}
	return rec, rec.check()
}

func encode(rec Record) ([]byte, error) {
	rec.Schema = SchemaVersion
	data, err := json.MarshalIndent(rec, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(data, '\n'), nil
}

// check refuses records that could never be a hit.
func (r Record) check() error {
	if r.Store == "" || r.ImageID == "" {
		return fmt.Errorf("%w: store and image ID are needed", ErrInvalidRecord)
	}
	_, err := r.path()
	return err
}

// clone returns a copy that shares nothing.
func (r Record) clone() Record {
	r.Labels, r.Args = maps.Clone(r.Labels), maps.Clone(r.Args)
	r.Layers, r.Checks = slices.Clone(r.Layers), slices.Clone(r.Checks)
	if r.Descriptor != nil {
		d := *r.Descriptor
		d.Annotations = maps.Clone(d.Annotations)
		r.Descriptor = &d
	}
	return r
}
