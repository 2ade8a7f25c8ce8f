package imagestore_test

import (
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

func TestConformanceReal(t *testing.T) {
	for _, flavour := range parts.Flavours() {
		t.Run(string(flavour), func(t *testing.T) {
			daemon := partstest.Dockerd(t, flavour)
			storetest.Run(t, dial(t, daemon.Host(), nil), kindOf(flavour))
		})
	}
}

func kindOf(flavour parts.Flavour) imagestore.Kind {
	if flavour == parts.Docker29Containerd {
		return imagestore.KindContainerd
	}
	return imagestore.KindClassic
}
