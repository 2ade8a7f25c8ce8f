package parts

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
)

// History is a row of commits. The first one adds Files; each of the others writes Bytes of data that no program can compress into one of
// Slots files, in turn. So a tree has at most Slots*Bytes besides Files, and the whole history Commits*Bytes.
type History struct {
	Commits, Bytes, Slots int
	Files                 []File
	// Seed tells the data of one history from that of another.
	Seed byte
}

// TreeSize is the size of the last commit's files.
func (h History) TreeSize() int64 {
	size := int64(min(h.Commits-1, h.Slots)) * int64(h.Bytes)
	for _, f := range h.Files {
		size += int64(len(f.Data))
	}
	return size
}

// Size is the size of all files that a commit brought.
func (h History) Size() int64 {
	return h.TreeSize() + int64(max(0, h.Commits-1-h.Slots))*int64(h.Bytes)
}

// PushHistory makes the commits in an empty repository and returns the last one's full hash.
func (g *GitHTTP) PushHistory(ctx context.Context, name string, h History) (string, error) {
	w, err := g.bench(name)
	if err != nil {
		return "", err
	}
	if _, err := w.commit(ctx, Commit{Files: h.Files}); err != nil {
		return "", err
	}
	if _, err := w.git(ctx, h.stream(), "fast-import", "--quiet"); err != nil {
		return "", err
	}
	return w.git(ctx, nil, "rev-parse", "--verify", "refs/heads/main")
}

// stream is all commits but the first in git fast-import's format.
func (h History) stream() []byte {
	random := rand.NewChaCha8([32]byte{h.Seed})
	data := make([]byte, h.Bytes)
	var b bytes.Buffer
	for i := range h.Commits - 1 {
		_, _ = random.Read(data) // never fails
		fmt.Fprintf(&b, "commit refs/heads/main\ncommitter Pinion Tests <tests@pinion.invalid> %d +0000\ndata 6\nchange\n", i)
		if i == 0 {
			b.WriteString("from refs/heads/main^0\n")
		}
		fmt.Fprintf(&b, "M %s inline data/%d\ndata %d\n", Regular, i%h.Slots, len(data))
		b.Write(data)
		b.WriteByte('\n')
	}
	return b.Bytes()
}
