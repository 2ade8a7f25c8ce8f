package buildkit

import (
	"slices"
	"time"
	"unicode/utf8"

	"github.com/moby/buildkit/client"
	digest "github.com/opencontainers/go-digest"
)

// cutLogs joins what BuildKit cuts: output comes in pieces of any length, and each is cleaned by
// itself. A character or a line ending that a piece does not have all of waits for the next one.
type cutLogs map[digest.Digest][]byte

// join changes the pieces of a status so that none ends within a character.
func (c cutLogs) join(s *client.SolveStatus) {
	for _, l := range s.Logs {
		data := slices.Concat(c[l.Vertex], l.Data)
		whole := len(data) - unfinished(data)
		delete(c, l.Vertex)
		if l.Data = data[:whole]; whole < len(data) {
			c[l.Vertex] = data[whole:]
		}
	}
	for _, v := range s.Vertexes {
		if rest, ok := c[v.Digest]; ok && v.Completed != nil {
			delete(c, v.Digest)
			s.Logs = append(s.Logs, &client.VertexLog{Vertex: v.Digest, Data: rest,
				Timestamp: time.Now()})
		}
	}
}

// unfinished returns how many bytes at the end of data may be the beginning of something longer.
func unfinished(data []byte) int {
	if n := len(data); n > 0 && data[n-1] == '\r' {
		return 1
	}
	for n := 1; n < utf8.UTFMax && n <= len(data); n++ {
		if end := data[len(data)-n:]; utf8.RuneStart(end[0]) {
			if utf8.FullRune(end) {
				return 0
			}
			return n
		}
	}
	return 0
}
