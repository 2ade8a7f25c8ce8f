package buildkit

import (
	"bytes"
	"testing"

	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// A document is accepted only if it has its digest.
func TestDocumentsAreWhatTheirDigestsSay(t *testing.T) {
	good, large := []byte(`{"a":1}`), bytes.Repeat([]byte("a"), maxImageDocument+1)
	for name, c := range map[string]struct {
		content []byte
		digest  digest.Digest
		ok      bool
	}{
		"good":               {good, digest.FromBytes(good), true},
		"as large as can be": {large[1:], digest.FromBytes(large[1:]), true},
		"another":            {[]byte(`{"a":2}`), digest.FromBytes(good), false},
		"cut off":            {good[:3], digest.FromBytes(good), false},
		"too large":          {large, digest.FromBytes(large), false},
		"no digest":          {good, "latest", false},
	} {
		open := openFunc(blobs{c.digest: c.content}.open)
		got, err := open.whole(t.Context(), ocispecs.Descriptor{Digest: c.digest})
		if (err == nil) != c.ok || c.ok && !bytes.Equal(got.Data, c.content) {
			t.Errorf("%s: %d bytes, %v", name, len(got.Data), err)
		}
	}
}
