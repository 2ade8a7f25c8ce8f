package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// TestMemoryOfADelivery: a layer passes through the client in small pieces, however big it is.
// `make bench` does it with 2 GB.
func TestMemoryOfADelivery(t *testing.T) {
	partstest.OnSomeDays(t)
	const (
		layers, layerSize = 3, 200 << 20
		limit             = 150 << 20
	)
	lines := unique()
	for i := range layers {
		lines = append(lines, fmt.Sprintf("RUN head -c %d /dev/urandom > /data-%d", layerSize, i))
	}
	onCells(t, []cell{containerdStandalone, classicStandalone}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		s.prepare(t, lines...)
		p := s.start(t, "ensure", runtime, "--format", "json")
		peak := p.residentAtMost(t)
		r := p.result(t)
		var img pinion.Image
		if err := json.Unmarshal([]byte(r.stdout), &img); err != nil || r.code != 0 {
			t.Fatalf("exit code %d, %v\n%s", r.code, err, r.stderr)
		}
		t.Logf("%d bytes delivered by %s in %d ms, %d MB resident at most", img.Delivery.Bytes,
			img.Delivery.Method, img.Durations.Deliver, peak>>20)
		if img.Delivery.Bytes < layers*layerSize {
			t.Errorf("the delivery is %+v", img.Delivery)
		}
		if peak == 0 || peak > limit {
			t.Errorf("%d MB were resident, and %d are allowed", peak>>20, limit>>20)
		}
		s.remove(t, img.Reference, true)
	})
}

// residentAtMost waits for the end of the process and returns the most memory that it had, in
// bytes, by proc_pid_status(5). wait4(2) would also count the test's own memory, which the process
// had before it became the command.
func (p *process) residentAtMost(t *testing.T) (peak int64) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-p.done:
			return peak
		case <-tick.C:
			peak = max(peak, p.residentSoFar())
		}
	}
}

// residentSoFar is the most memory that the process has had, in bytes; 0 if it has ended.
func (p *process) residentSoFar() int64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
	var kib int64
	if _, rest, ok := strings.Cut(string(status), "VmHWM:"); ok {
		_, _ = fmt.Sscan(rest, &kib)
	}
	return kib << 10
}
