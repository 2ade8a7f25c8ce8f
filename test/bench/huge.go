package main

import (
	"context"
	"fmt"

	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// loadHuge loads an image of some layers that no program can compress, besides busybox. The builder
// has solved it, and the engine has nothing of it. The peer does not compress either, which would
// take a minute.
func loadHuge(layers, bytes int) preparing {
	return func(ctx context.Context, a *arena) (race, error) {
		prefix := fmt.Sprintf("huge-%d-%s-", layers, a.engine.Flavour())
		t, err := createTemplate(ctx, a.gitea, prefix)
		if err != nil {
			return race{}, err
		}
		var steps []string
		for layer := range layers {
			steps = append(steps, fmt.Sprintf("RUN head -c %d /dev/urandom > /random-%d", bytes,
				layer))
		}
		files, err := parts.BusyboxTemplate(steps...)
		if err != nil {
			return race{}, err
		}
		if err := t.push(ctx, files); err != nil {
			return race{}, err
		}
		return a.hugeRace(ctx, t, fmt.Sprintf("huge-%d", layers))
	}
}

// hugeRace has a builder of its own, which it empties at its end.
func (a *arena) hugeRace(ctx context.Context, t template, builder string) (race, error) {
	d, err := a.startBuildkitd(ctx, builder)
	if err != nil {
		return race{}, err
	}
	if _, err := a.buildx("build", "--builder", builder, t.pinnedURL()).once(ctx); err != nil {
		return race{}, err
	}
	ours := a.loader(d.Addr(), t)
	ours.before = a.dropImages
	peer := a.buildx("build", "--builder", builder, "--output",
		"type=docker,compression=uncompressed,name="+peerTag, t.pinnedURL()).usingCache()
	peer.name += " `--output type=docker,compression=uncompressed`"
	peer.before = a.dropImages
	return race{ours: ours, peer: peer, end: func() error {
		return pruneBuilder(context.WithoutCancel(ctx), d.Addr())
	}}, nil
}
