package main

import (
	"context"
	"fmt"

	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// The huge template has 4 layers of 500 MB that no program can compress, besides busybox. What
// counts is the memory that it takes to load.
const (
	hugeLayers     = 4
	hugeRandom     = 500_000_000
	hugeRepoPrefix = "huge-"
)

// loadHuge: the builder has solved the image, and the engine has nothing of it. The peer does not
// compress either, which would take a minute.
func loadHuge(ctx context.Context, a *arena) (race, error) {
	t, err := createTemplate(ctx, a.gitea, hugeRepoPrefix+string(a.engine.Flavour())+"-")
	if err != nil {
		return race{}, err
	}
	var steps []string
	for layer := range hugeLayers {
		steps = append(steps, fmt.Sprintf("RUN head -c %d /dev/urandom > /random-%d",
			hugeRandom, layer))
	}
	files, err := parts.BusyboxTemplate(steps...)
	if err != nil {
		return race{}, err
	}
	if err := t.push(ctx, files); err != nil {
		return race{}, err
	}
	const builder = "huge"
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
	return race{ours: ours, peer: peer}, nil
}
