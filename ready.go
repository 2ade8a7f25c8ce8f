package pinion

import (
	"context"

	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

// Ready asks the image store whether it answers. A failure is an [*Error].
func (o *Orchestrator) Ready(ctx context.Context) error {
	st, err := o.store()
	if err != nil {
		return fail(ctx, "", storeError(err))
	}
	if _, err := st.Info(ctx); err != nil {
		return fail(ctx, "", storeError(err))
	}
	return nil
}

// Templates lists what the names of the catalogue stand for, in alphabetical order and as far as it
// is known without asking anybody.
func (o *Orchestrator) Templates() []Resolution {
	var list []Resolution
	for _, name := range o.catalogue.Names() {
		t, err := o.catalogue.Template(name)
		if err != nil {
			continue // not in the list, then
		}
		r := Resolution{Name: name, Mode: o.source.Mode}
		if r.Mode == resolver.ModeRegistry {
			r.Reference = o.source.Reference(name)
		} else {
			r.Repository, r.Ref = t.Remote.String(), t.Ref.String()
		}
		list = append(list, r)
	}
	return list
}
