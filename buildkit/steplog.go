package buildkit

import (
	"bytes"
	"slices"

	"github.com/moby/buildkit/client"
	digest "github.com/opencontainers/go-digest"
)

// Limits on what a failed step's error holds of the step's output: lines, and bytes in all of them.
const (
	maxLogLines = 40
	maxLogBytes = 16 << 10
)

// stepLogs holds the last lines that each unfinished step printed, as the builder sent them.
type stepLogs map[digest.Digest]*stepLog

// stepLog is the end of one step's output. The last line may not have ended yet.
type stepLog struct {
	lines [][]byte
	ended bool
}

// add appends output to the step's last lines.
func (l stepLogs) add(out *client.VertexLog) {
	log := l[out.Vertex]
	if log == nil {
		log = &stepLog{ended: true}
		l[out.Vertex] = log
	}
	for line := range bytes.Lines(out.Data) {
		log.add(line)
	}
}

// complete forgets the output of a step that has ended well.
func (l stepLogs) complete(v *client.Vertex) {
	if v.Completed != nil && v.Error == "" {
		delete(l, v.Digest)
	}
}

// add appends a line or a part of one, which ends with a newline if the line does.
func (l *stepLog) add(part []byte) {
	if l.ended {
		l.lines = append(l.lines, nil)
		if len(l.lines) > maxLogLines {
			l.lines = slices.Delete(l.lines, 0, 1)
		}
	}
	l.ended = bytes.HasSuffix(part, []byte("\n"))
	last := &l.lines[len(l.lines)-1]
	// The double leaves room for what the cleaning shortens.
	room := max(0, 2*maxLine-len(*last))
	*last = append(*last, part[:min(len(part), room)]...)
}

// tail returns the last lines after clean, within the limits, the newest ones if not all fit.
func (l *stepLog) tail(clean func(string) string) []string {
	if l == nil {
		return nil
	}
	var lines []string
	size := 0
	for _, raw := range slices.Backward(l.lines) {
		line := cut(clean(string(bytes.TrimRight(raw, "\r\n"))), maxLine)
		if size += len(line); size > maxLogBytes {
			break
		}
		lines = append(lines, line)
	}
	slices.Reverse(lines)
	return lines
}
