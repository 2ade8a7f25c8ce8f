package partstest

import (
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// Collector starts a collector of traces that ends with the test.
func Collector(t testing.TB) *parts.Collector {
	t.Helper()
	c, err := parts.StartCollector()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}
