package resolver

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// Packet lines, as gitprotocol-common(5) and gitprotocol-v2(5) define them: four
// hex digits give the length with themselves included; 0000 to 0002 are marks.
const (
	pktFlush    = 0 // ends a message
	pktDelim    = 1 // ends a section
	pktEnd      = 2 // ends the response of a stateless connection
	pktHeader   = 4
	maxPktLen   = 65520
	pktDelimStr = "0001"
	pktFlushStr = "0000"
)

var errMalformedPkt = errors.New("malformed packet line")

// pktReader reads packet lines from a stream, one at a time, holding no more
// than one.
type pktReader struct {
	in  *bufio.Reader
	buf []byte
}

func newPktReader(r io.Reader) *pktReader {
	return &pktReader{in: bufio.NewReader(r)}
}

// next returns a line's payload, which is good until the next call, or a mark
// (pktFlush, pktDelim, pktEnd) and no payload. io.EOF means that the stream
// ended between two lines; inside of one it is errMalformedPkt.
func (r *pktReader) next() (payload []byte, mark int, err error) {
	var header [pktHeader]byte
	if _, err := io.ReadFull(r.in, header[:]); err != nil {
		return nil, 0, truncated(err)
	}
	length, ok := pktLength(header)
	switch {
	case !ok || length == 3 || length > maxPktLen:
		return nil, 0, fmt.Errorf("%w: length %q", errMalformedPkt, header[:])
	case length < pktHeader:
		return nil, length, nil
	}
	length -= pktHeader
	if cap(r.buf) < length {
		r.buf = make([]byte, length)
	}
	r.buf = r.buf[:length]
	if _, err := io.ReadFull(r.in, r.buf); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, 0, truncated(err)
	}
	return r.buf, -1, nil
}

// truncated turns an end in the middle of a line into errMalformedPkt.
func truncated(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: the answer ends in the middle", errMalformedPkt)
	}
	return err
}

func pktLength(header [pktHeader]byte) (int, bool) {
	n := 0
	for _, c := range header {
		digit, ok := hexDigit(c)
		if !ok {
			return 0, false
		}
		n = n<<4 | digit
	}
	return n, true
}

func hexDigit(c byte) (int, bool) {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0'), true
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10, true
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10, true
	}
	return 0, false
}

// appendPkt appends one packet line with the newline that text lines end in.
func appendPkt(b []byte, line string) []byte {
	return fmt.Appendf(b, "%04x%s\n", pktHeader+len(line)+1, line)
}
