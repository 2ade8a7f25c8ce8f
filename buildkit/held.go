package buildkit

import (
	"context"
	"sync"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/session/exporter/exporterprovider"
)

// held is a delivery that runs while the builder holds what it exported. At the end of a Build the
// builder calls FinalizeExport in the session. Until that returns, it keeps its lease on the export
// and the result in use, so that no garbage collection and no prune removes a part of the image
// (BuildKit, solver/llbsolver/solver.go). BuildKit before 0.32 does not call it and holds nothing;
// there the delivery follows the Build.
type held struct {
	deliver delivery
	once    sync.Once
	result  Delivery
	err     error
}

// mount makes the builder ask for the delivery before the Build ends.
func (h *held) mount(opt *client.SolveOpt) {
	opt.EnableSessionExporter = true
	opt.Session = append(opt.Session, exporterprovider.New(nil,
		exporterprovider.WithFinalizeCallback(h.finalize)))
}

// finalize returns nil even if the delivery fails: that does not fail what the builder built.
func (h *held) finalize(_ context.Context, response map[string]string) error {
	h.run(response, nil)
	return nil
}

// end returns the outcome of the delivery after the Build has ended. It waits for a delivery that
// still runs, and runs it if the builder has not asked for it.
func (h *held) end(response map[string]string, solveErr error) (Delivery, error) {
	h.run(response, solveErr)
	return h.result, h.err
}

func (h *held) run(response map[string]string, solveErr error) {
	h.once.Do(func() { h.result, h.err = h.deliver(response, solveErr) })
}
