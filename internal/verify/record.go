package verify

import (
	"time"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/cache"
)

// Record returns the record of an adopted image. The caller adds what only it knows: Name, Ref and
// Prewarmed.
func (a *Arrival) Record(img Adopted, res buildkit.Result, by buildkit.Info) cache.Record {
	r := a.recipe
	return cache.Record{
		Key: r.Key(), Line: r.Line(), Reference: r.Reference(),
		Store: a.store.Store.Endpoint(), StoreKind: string(img.Kind),
		ImageID: img.ID, ConfigDigest: res.ConfigDigest, ManifestDigest: res.ManifestDigest,
		Descriptor: res.Descriptor, Size: img.Size, Layers: img.Layers,
		Revision: r.Revision.String(), Tree: r.Tree, Repository: r.Repository,
		Platform: r.Platform, Labels: r.Extra, Provenance: r.Provenance, Form: r.Form(),
		Isolation: r.Isolation, PullRequest: r.PullRequest, Args: res.ArgValues(),
		BuiltAt: time.Now().UTC(),
		Builder: cache.Builder{Kind: string(by.Kind), Endpoint: by.Endpoint, Version: by.Version},
	}
}
