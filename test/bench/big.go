package main

import (
	"context"
	"crypto/rand"
	"fmt"

	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// The big template has 8 layers: 2 with busybox, 5 of 100 MB, half of which no program can compress
// while the rest are programs, and on top one of 1 MB that each commit changes. The data is made by
// RUN, so that the repository stays small; a builder makes it once.
const (
	bigLayers     = 5
	bigRandom     = 50_000_000
	bigPrograms   = 25 // of busybox, 2 MB each
	bigTop        = 1 << 20
	bigRepoPrefix = "big-"
)

// changing is a template whose commits differ in the layer on top.
type changing struct {
	template
	files []parts.File
}

func (s *stage) needBig(ctx context.Context) (err error) {
	if s.big == nil {
		s.big, err = newBig(ctx, s.gitea)
	}
	return err
}

func newBig(ctx context.Context, g *parts.Gitea) (*changing, error) {
	var steps []string
	for layer := range bigLayers {
		steps = append(steps,
			fmt.Sprintf("RUN head -c %d /dev/urandom > /random-%d && for n in $(seq %d); do "+
				"{ echo layer %d file $n; cat /bin/busybox; } > /program-%d-$n; done", bigRandom,
				layer, bigPrograms, layer, layer))
	}
	return newChanging(ctx, g, bigRepoPrefix, steps)
}

func newChanging(
	ctx context.Context, g *parts.Gitea, prefix string, steps []string,
) (*changing, error) {
	files, err := parts.BusyboxTemplate(append(steps, "COPY top /top")...)
	if err != nil {
		return nil, err
	}
	t, err := createTemplate(ctx, g, prefix)
	if err != nil {
		return nil, err
	}
	c := &changing{t, files}
	return c, c.change(ctx)
}

// change pushes a commit with another layer on top.
func (c *changing) change(ctx context.Context) error {
	top := make([]byte, bigTop)
	_, _ = rand.Read(top) // never fails
	return c.push(ctx, append(c.files[:len(c.files):len(c.files)],
		parts.File{Path: "top", Data: top}))
}
