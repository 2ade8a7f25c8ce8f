package e2e_test

import (
	"path/filepath"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/test/disktest"
)

// TestFault65_PruneOnAFullDisk: images, records, locks and history are on one disk, which is full,
// and the command makes room all the same.
func TestFault65_PruneOnAFullDisk(t *testing.T) {
	s := newScene(t, containerdStandalone)
	disk := disktest.Small(t, "size=48m")
	u := s.with("PINION_STORE", "oci:"+filepath.Join(disk, "images"),
		"MOLECULE_LOCAL_BUILD_CACHE", filepath.Join(disk, "cache"),
		"PINION_HISTORY", filepath.Join(disk, "history"), "PINION_CACHE", "local")
	tmpl, _ := s.prepare(t, "RUN dd if=/dev/urandom of=/one bs=1M count=4")
	u.succeed(t, "ensure", runtime)
	tmpl.busybox(t, "RUN dd if=/dev/urandom of=/two bs=1M count=4")
	u.succeed(t, "ensure", runtime)

	disktest.Fill(t, filepath.Join(disk, "taken"))
	report := resetReport(t, u.succeed(t, "prune", "--keep", "1", "--format", "json"))
	if report.Reclaimed < 4<<20 {
		t.Errorf("only %d bytes are reclaimed", report.Reclaimed)
	}
	var left pinion.DiskUsage
	decode(t, u.succeed(t, "du", "--format", "json").stdout, &left)
	if left.Size != report.Remaining {
		t.Errorf("prune says that %d bytes remain, and du %d", report.Remaining, left.Size)
	}
	u.succeed(t, "ensure", runtime)
}
