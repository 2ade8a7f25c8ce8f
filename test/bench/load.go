package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/test/bench/stats"
)

// own is buildx's name for the engine's own BuildKit.
const own = "default"

// loading makes the two that bring the big image into the engine: Pinion from the standalone
// buildkitd, and buildx from the same one, or from the engine's own where no transfer is needed.
// The builders have solved it.
func (a *arena) loading(ctx context.Context, builder string) (ours, peer contestant, err error) {
	if err := a.needBuildkitd(ctx); err != nil {
		return ours, peer, err
	}
	if err := a.needBig(ctx); err != nil {
		return ours, peer, err
	}
	ours = a.loader(a.buildkitd.Addr(), a.big.template)
	peer = a.buildx("build", "--builder", builder, "--load", "--tag", peerTag,
		a.big.pinnedURL()).usingCache()
	peer.name += " `--load`"
	if builder == own {
		peer.name += ", the engine's own builder"
	}
	if a.solved[builder] {
		return ours, peer, nil
	}
	// BuildKit keeps the form in which a layer was exported first. For the peer that is gzip, as on
	// a builder that Pinion has not used.
	_, err = peer.once(ctx)
	a.solved[builder] = err == nil
	return ours, peer, err
}

// loader is Pinion on a builder beside the engine, with a receipt that counts the bytes moved.
func (a *arena) loader(addr string, t template) contestant {
	c := a.pinion("--addr", addr, "--format", "json").building(a.forget)
	c.name = "`pinion ensure " + name + " --addr ...`"
	c.env = append(c.env, "MOLECULE_LOCAL_TEMPLATE_REPO_PREFIX="+t.prefix())
	c.observe = delivered
	return c
}

// delivered reads the receipt.
func delivered(r *run) error {
	var receipt struct {
		Delivery struct {
			Bytes      int64
			LayersSent int64 `json:"layers_sent"`
		}
	}
	for line := range strings.Lines(r.output) {
		if strings.HasPrefix(line, "{") {
			err := json.Unmarshal([]byte(line), &receipt)
			r.Counts = stats.Counts{"bytes delivered": receipt.Delivery.Bytes,
				"layers sent": receipt.Delivery.LayersSent}
			return err
		}
	}
	return fmt.Errorf("no receipt in the output\n%s", r.output)
}

// firstLoad: the engine has nothing of the image.
func firstLoad(builder string) preparing {
	return func(ctx context.Context, a *arena) (race, error) {
		ours, peer, err := a.loading(ctx, builder)
		ours.before, peer.before = a.dropImages, a.dropImages
		return race{ours: ours, peer: peer}, err
	}
}

// reload: the engine has the image, and Pinion has forgotten it.
func reload(builder string) preparing {
	return func(ctx context.Context, a *arena) (race, error) {
		ours, peer, err := a.loading(ctx, builder)
		return race{ours: ours, peer: peer}, err
	}
}

// reloadChanged: the engine has an image that differs in the layer on top. Each run has a commit of
// its own, which its builder has solved.
func reloadChanged(builder string) preparing {
	return racing(builder, func(ctx context.Context, a *arena, builder string) error {
		if err := a.big.change(ctx); err != nil {
			return err
		}
		_, err := a.buildx("build", "--builder", builder, "--output", "type=cacheonly",
			a.big.pinnedURL()).once(ctx)
		return err
	})
}

// update is reloadChanged from the beginning: the commit must be fetched and solved as well.
func update(builder string) preparing {
	return racing(builder, func(ctx context.Context, a *arena, _ string) error {
		return a.big.change(ctx)
	})
}

// racing makes another commit before each run.
func racing(
	builder string, before func(ctx context.Context, a *arena, builder string) error,
) preparing {
	return func(ctx context.Context, a *arena) (race, error) {
		ours, peer, err := a.loading(ctx, builder)
		if err != nil {
			return race{}, err
		}
		ours.before = func(ctx context.Context) error { return before(ctx, a, standalone) }
		peer.before = func(ctx context.Context) error {
			err := before(ctx, a, builder)
			peer.args[len(peer.args)-1] = a.big.pinnedURL()
			return err
		}
		return race{ours: ours, peer: peer}, nil
	}
}
