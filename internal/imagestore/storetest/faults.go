package storetest

import (
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
)

// MovedTag is fault 35: an ID names the same image after a tag has moved. It is part of Run.
func MovedTag(t *testing.T, store imagestore.Store, kind imagestore.Kind) {
	suite{store, kind}.movedTag(t)
}

// BrokenLoads are fault 40: loads that fail although the engine answers 200.
// They are part of Run.
func BrokenLoads(t *testing.T, store imagestore.Store, kind imagestore.Kind) {
	suite{store, kind}.missingLayer(t)
	suite{store, kind}.truncated(t)
}

// TagByID is fault 42: an image without its name gets it by its ID. It is part
// of Run.
func TagByID(t *testing.T, store imagestore.Store, kind imagestore.Kind) {
	suite{store, kind}.tagByID(t)
}
