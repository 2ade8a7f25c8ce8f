package exitcode_test

import (
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/exitcode"
)

func TestOf(t *testing.T) {
	for class, want := range map[pinion.Class]int{
		pinion.ClassUsage: 64, pinion.ClassNotFound: 10, pinion.ClassUnauthorized: 11,
		pinion.ClassUnreachable: 12, pinion.ClassNoBuilder: 13, pinion.ClassStore: 14,
		pinion.ClassVerification: 15, pinion.ClassLock: 16, pinion.ClassBuild: 20,
		pinion.ClassStalled: 20, pinion.ClassTimeLimit: 20, pinion.ClassCancelled: 130,
		pinion.ClassGeneral: 1, "a class to come": 1,
	} {
		if got := exitcode.Of(class); got != want {
			t.Errorf("%s: got %d, want %d", class, got, want)
		}
	}
}
