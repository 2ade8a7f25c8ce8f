package buildkit

import (
	"cmp"
	"context"
	"io"
	"sync/atomic"

	"github.com/moby/buildkit/client"
)

// exporter is a way to get an image out of a builder. begin returns the export for the solve and
// the delivery that follows it.
type exporter interface {
	begin(ctx context.Context, reference string, sink Sink) (client.ExportEntry, delivery)
}

// delivery completes an export. It is called once, with the exporter's response and the solve's
// error, and returns when the image has arrived or has failed to.
type delivery func(response map[string]string, solveErr error) (Delivery, error)

// mobyExporter is the engine's own exporter. The image appears unpacked in the engine's store under
// the reference.
type mobyExporter struct{ containerdStore bool }

func (x mobyExporter) begin(
	_ context.Context, reference string, _ Sink,
) (client.ExportEntry, delivery) {
	attrs := map[string]string{"name": reference}
	if x.containerdStore {
		// The store keeps packed layers beside the unpacked ones. Without compression the export
		// takes a fifth of gzip's time and a third more disk: 2.3 s against 11.2 s for 420 MB.
		attrs["compression"] = "uncompressed"
	}
	return client.ExportEntry{Type: "moby", Attrs: attrs},
		func(map[string]string, error) (Delivery, error) {
			return Delivery{Method: MethodMoby}, nil
		}
}

// archiveExporter streams a docker archive through this process into the sink, for builders whose
// layers cannot be read one by one.
type archiveExporter struct{ watchdog *watchdog }

func (x archiveExporter) begin(
	ctx context.Context, reference string, sink Sink,
) (client.ExportEntry, delivery) {
	p := &archivePipe{ctx: ctx, sink: sink, watchdog: x.watchdog, done: make(chan error, 1)}
	return client.ExportEntry{
		Type: client.ExporterDocker,
		// Without force-compression BuildKit reuses the compression of an earlier export.
		Attrs: map[string]string{"name": reference, "compression": "uncompressed",
			"force-compression": "true"},
		Output: p.open,
	}, p.wait
}

// archivePipe joins BuildKit's writer with the sink's reader. The sink starts to read when BuildKit
// opens the output, which is after the solve.
type archivePipe struct {
	ctx      context.Context
	sink     Sink
	watchdog *watchdog
	writer   atomic.Pointer[io.PipeWriter]
	bytes    atomic.Int64
	done     chan error
}

func (p *archivePipe) open(map[string]string) (io.WriteCloser, error) {
	r, w := io.Pipe()
	p.writer.Store(w)
	go func() {
		err := p.sink.Load(p.ctx, p.watchdog.archive(countingReader{r, &p.bytes}))
		// A writer that still writes must fail instead of blocking.
		r.CloseWithError(cmp.Or(err, io.ErrClosedPipe))
		p.done <- err
	}()
	return w, nil
}

// wait returns when the sink is done. A failed solve ends the archive early unless BuildKit has
// closed it. If a sink takes such a part for the whole, the verification of the image fails.
func (p *archivePipe) wait(_ map[string]string, solveErr error) (Delivery, error) {
	w := p.writer.Load()
	if w == nil {
		return Delivery{}, cmp.Or(solveErr, errNothingExported)
	}
	if solveErr != nil {
		w.CloseWithError(solveErr)
	}
	err := <-p.done
	return Delivery{Method: MethodFull, Via: ViaLoad, Bytes: p.bytes.Load()}, err
}

type countingReader struct {
	io.Reader
	n *atomic.Int64
}

func (r countingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.n.Add(int64(n))
	return n, err
}
