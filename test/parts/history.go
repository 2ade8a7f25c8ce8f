package parts

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
)

// History is a row of commits. The first one adds Files; each of the others writes Bytes of data
// that no program can compress into one of Slots files, in turn. So a tree has at most Slots*Bytes
// besides Files, and the whole history Commits*Bytes.
type History struct {
	Commits, Bytes, Slots int
	Files                 []File
	// Seed makes the data of histories differ.
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
	stream, in := io.Pipe()
	go func() { _ = in.CloseWithError(h.write(in)) }() // never fails
	_, err = w.gitReading(ctx, stream, "fast-import", "--quiet")
	_ = stream.Close()
	if err != nil {
		return "", err
	}
	return w.git(ctx, nil, "rev-parse", "--verify", "refs/heads/main")
}

// write gives all commits but the first in git fast-import's format.
func (h History) write(w io.Writer) error {
	random := rand.NewChaCha8([32]byte{h.Seed})
	data := make([]byte, h.Bytes)
	for i := range h.Commits - 1 {
		_, _ = random.Read(data) // never fails
		from := ""
		if i == 0 {
			from = "from refs/heads/main^0\n"
		}
		_, err := fmt.Fprintf(w,
			"commit refs/heads/main\ncommitter Pinion Tests <tests@pinion.invalid> %d "+
				"+0000\ndata 6\nchange\n%s"+
				"M %s inline data/%d\ndata %d\n%s\n", i, from, Regular, i%h.Slots, len(data), data)
		if err != nil {
			return err
		}
	}
	return nil
}
