package git

import (
	"context"
	"encoding/hex"
	"io"
	"strconv"
	"strings"
)

// MaxLFSPointer is the size that every pointer of Git LFS is below, in bytes.
const MaxLFSPointer = 1024

// LFSPointer stands in a commit for a file whose content Git LFS has elsewhere. It is comparable.
type LFSPointer struct {
	OID  string // SHA-256 of the content, in lower-case hex
	Size int64  // of the content, in bytes
	// Extended reports whether programs of the repository's owner changed the content before it was
	// stored, so that the object is not the file.
	Extended bool
}

// LFSObjects are what opens the content of pointers.
type LFSObjects map[LFSPointer]func(context.Context) (io.ReadCloser, error)

// ParseLFSPointer parses the text of a pointer (git-lfs, docs/spec.md). It reports false for any
// other text. As git-lfs does it takes blank lines, lines that end with CR LF, and the names that
// the version had before.
func ParseLFSPointer(text []byte) (p LFSPointer, ok bool) {
	if len(text) >= MaxLFSPointer {
		return LFSPointer{}, false
	}
	keys := []string{"version", "oid", "size"}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		switch {
		case key == "" && value == "":
			continue
		case strings.HasPrefix(key, "ext-") && len(keys) == 2:
			p.Extended = true
			continue
		case len(keys) == 0 || key != keys[0] || !p.set(key, value):
			return LFSPointer{}, false
		}
		keys = keys[1:]
	}
	return p, len(keys) == 0
}

// set reads the value of a key.
func (p *LFSPointer) set(key, value string) bool {
	switch key {
	case "version":
		return value == "https://git-lfs.github.com/spec/v1" ||
			value == "https://hawser.github.com/spec/v1" || value == "http://git-media.io/v/2"
	case "oid":
		p.OID = strings.TrimPrefix(value, "sha256:")
		sum, err := hex.DecodeString(p.OID)
		return err == nil && len(sum) == 32 && p.OID == strings.ToLower(p.OID) && p.OID != value
	}
	size, err := strconv.ParseInt(value, 10, 64)
	p.Size = size
	return err == nil && size >= 0
}
