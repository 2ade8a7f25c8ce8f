package storetest_test

import (
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore/storetest"
)

func TestMemory(t *testing.T) {
	for _, kind := range []imagestore.Kind{imagestore.KindClassic, imagestore.KindContainerd} {
		t.Run(string(kind), func(t *testing.T) {
			storetest.Run(t, storetest.NewMemory(kind), kind)
		})
	}
}
