package resolver

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha1" //nolint:gosec // the name of git's objects, not a signature
	hash256 "crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// maxCommit caps what is read of a pack: its first object, which is a commit.
const maxCommit = 1 << 20

// errNotShown: the server did not answer a question about its history by git's protocol.
var errNotShown = errors.New("the server did not show it by git's protocol")

// isAncestor asks by git's protocol whether rev is a commit in the history of the head. Both
// answers are small packs, of which only the beginning is read: of what rev has and the head has
// not, which is empty for an ancestor alone, and of rev itself. The error is errNotShown, also if
// the server gives out no commits by their names.
func (c *Client) isAncestor(ctx context.Context, head Head, rev git.Revision) (bool, error) {
	if head.Dialect.Protocol == ProtocolDumb {
		return false, errNotShown
	}
	beyond := 0
	err := c.fetchPack(ctx, head, rev, false, func(r io.Reader) (err error) {
		beyond, err = packCount(r)
		return err
	})
	if err != nil || beyond > 0 {
		return false, err
	}
	err = c.fetchPack(ctx, head, rev, true, func(r io.Reader) error {
		if _, err := packCount(r); err != nil {
			return err
		}
		return requireFirst(r, rev)
	})
	return err == nil, err
}

// fetchPack asks for the objects of rev that the head has not, or for rev alone, and passes the
// pack on.
func (c *Client) fetchPack(
	ctx context.Context, head Head, rev git.Revision, alone bool, read func(io.Reader) error,
) error {
	resp, err := c.postCommand(ctx, head.Remote, head.Dialect.Protocol,
		fetchRequest(head, rev, alone), maxCommit)
	if err != nil {
		return fmt.Errorf("%w: %w", errNotShown, err)
	}
	defer func() { _ = resp.Body.Close() }() // the rest is not needed
	if err := read(&packStream{lines: newPktReader(resp.Body)}); err != nil {
		return fmt.Errorf("%w: %w", errNotShown, err)
	}
	return nil
}

// fetchRequest is the body of a fetch: of version 2 (gitprotocol-v2), or of version 0 and 1
// (gitprotocol-pack).
func fetchRequest(head Head, rev git.Revision, alone bool) []byte {
	want, have := "want "+rev.String(), "have "+head.Revision.String()
	objectFormat := ""
	if rev.Format() != git.SHA1 {
		objectFormat = "object-format=" + string(rev.Format())
	}
	var body []byte
	if head.Dialect.Protocol == ProtocolV1 {
		body = appendPkt(body, want+" side-band-64k no-progress "+objectFormat)
		if alone {
			body = appendPkt(body, "deepen 1")
		}
		body = append(body, pktFlushStr...)
		if !alone {
			body = appendPkt(body, have)
		}
		return appendPkt(body, "done")
	}
	body = appendPkt(body, "command=fetch")
	if objectFormat != "" {
		body = appendPkt(body, objectFormat)
	}
	body = append(body, pktDelimStr...)
	lines := []string{"no-progress", want, have, "done"}
	if alone {
		lines = []string{"no-progress", "deepen 1", want, "done"}
	}
	for _, line := range lines {
		body = appendPkt(body, line)
	}
	return append(body, pktFlushStr...)
}

// packStream reads a pack out of an answer's side band, and skips what stands before it.
type packStream struct {
	lines *pktReader
	rest  []byte
}

// Read implements io.Reader.
func (s *packStream) Read(p []byte) (int, error) {
	const data, failure = 1, 3 // 2 is progress
	for len(s.rest) == 0 {
		line, mark, err := s.lines.next()
		switch {
		case err != nil:
			return 0, err
		case mark >= 0 || len(line) == 0:
		case line[0] == data:
			s.rest = line[1:]
		case line[0] == failure, bytes.HasPrefix(line, []byte("ERR ")):
			return 0, errRefused
		}
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// packCount reads the header of a pack (gitformat-pack) and returns how many objects follow.
func packCount(r io.Reader) (int, error) {
	var header [12]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return 0, err
	}
	version := binary.BigEndian.Uint32(header[4:])
	if string(header[:4]) != "PACK" || version != 2 && version != 3 {
		return 0, fmt.Errorf("%w: not a pack", ErrInvalidAnswer)
	}
	return int(binary.BigEndian.Uint32(header[8:])), nil
}

// requireFirst reads the first object of a pack, which must be the commit rev. A pack begins with
// its commits.
func requireFirst(r io.Reader, rev git.Revision) error {
	text, err := readCommit(&byteReader{r: r})
	if err == nil && nameOf(text, rev.Format()) != rev.String() {
		return fmt.Errorf("%w: another object", ErrInvalidAnswer)
	}
	return err
}

var (
	// errNoCommit: the next object of a pack is no commit.
	errNoCommit = fmt.Errorf("%w: it is no commit", ErrInvalidAnswer)
	// errDifference: it may be one, but is stored as a difference to another object.
	errDifference = fmt.Errorf("%w, or a difference", errNoCommit)
)

// readCommit reads the next object of a pack, which must be a commit, and returns its text.
func readCommit(in *byteReader) ([]byte, error) {
	const commit, offsetDelta, refDelta = 1, 6, 7 // types
	b, err := in.ReadByte()
	kind, size := b>>4&7, int64(b&15)
	for shift := 4; err == nil && b&0x80 != 0; shift += 7 {
		if shift > 32 {
			return nil, fmt.Errorf("%w: the size of an object", ErrInvalidAnswer)
		}
		b, err = in.ReadByte()
		size |= int64(b&0x7f) << shift
	}
	switch {
	case err != nil:
		return nil, err
	case kind == offsetDelta || kind == refDelta:
		return nil, errDifference
	case kind != commit || size > maxCommit:
		return nil, errNoCommit
	}
	inflated, err := zlib.NewReader(in)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(inflated, maxCommit))
	if err == nil && int64(len(text)) != size {
		err = fmt.Errorf("%w: the size of an object", ErrInvalidAnswer)
	}
	return text, err
}

// nameOf returns the name of the commit with that text, in hexadecimal.
func nameOf(text []byte, format git.ObjectFormat) string {
	sum := sha1.New() //nolint:gosec // as above
	if format == git.SHA256 {
		sum = hash256.New()
	}
	_, _ = fmt.Fprintf(sum, "commit %d\x00%s", len(text), text) // a hash takes everything
	return hex.EncodeToString(sum.Sum(nil))
}

// byteReader reads no more than it is asked for.
type byteReader struct{ r io.Reader }

func (b *byteReader) Read(p []byte) (int, error) { return b.r.Read(p) }

// ReadByte implements io.ByteReader.
func (b *byteReader) ReadByte() (byte, error) {
	var one [1]byte
	_, err := io.ReadFull(b.r, one[:])
	return one[0], err
}
