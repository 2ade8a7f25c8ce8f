package e2e_test

import (
	"encoding/json"
	"fmt"
	"syscall"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
)

// TestMemoryOfADelivery: a layer passes through the client in small pieces, however big it is. `make bench` does it with 2 GB.
func TestMemoryOfADelivery(t *testing.T) {
	const (
		layers, layerSize = 3, 200 << 20
		limit             = 150 << 20
	)
	var lines []string
	for i := range layers {
		lines = append(lines, fmt.Sprintf("RUN head -c %d /dev/urandom > /data-%d", layerSize, i))
	}
	onCells(t, []cell{containerdStandalone, classicStandalone}, func(t *testing.T, c cell) {
		s := newScene(t, c)
		s.ready(t, lines...)
		p := s.start(t, "ensure", runtime, "--format", "json")
		<-p.done
		r := p.result(t)
		var img pinion.Image
		if err := json.Unmarshal([]byte(r.stdout), &img); err != nil || r.code != 0 {
			t.Fatalf("exit code %d, %v\n%s", r.code, err, r.stderr)
		}
		peak := p.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
		t.Logf("%d bytes delivered by %s in %d ms, %d MB resident at most", img.Delivery.Bytes, img.Delivery.Method, img.Durations.Deliver, peak>>20)
		if img.Delivery.Bytes < layers*layerSize {
			t.Errorf("the delivery is %+v", img.Delivery)
		}
		if peak > limit {
			t.Errorf("%d MB were resident, and %d are allowed", peak>>20, limit>>20)
		}
		s.remove(t, img.Reference, true)
	})
}
