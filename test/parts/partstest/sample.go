package partstest

import (
	"flag"
	"hash/fnv"
	"os"
	"strings"
	"testing"
	"time"
)

// All reports whether tests leave nothing out: with PINION_TEST_CELLS=all.
func All() bool { return os.Getenv("PINION_TEST_CELLS") == "all" }

// Sample returns one of what a test could run on, which the test's name decides, so that the tests
// spread over all of it. It returns everything if [All] does, and where -run asks for subtests.
func Sample[T any](t *testing.T, items []T) []T {
	t.Helper()
	if All() || strings.Contains(asked(), "/") {
		return items
	}
	i := number(t, len(items))
	return items[i : i+1]
}

// OnSomeDays leaves out a slow test on two of three days, unless -run asks for it.
func OnSomeDays(t *testing.T) {
	t.Helper()
	const days = 3
	if !All() && asked() == "" && number(t, days) != time.Now().YearDay()%days {
		t.Skipf("left out: a slow test, which runs on one day of %d; PINION_TEST_CELLS=all "+
			"runs it always", days)
	}
}

// asked is the value of -run.
func asked() string { return flag.Lookup("test.run").Value.String() }

// number is one of a test's own, below n.
func number(t *testing.T, n int) int {
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(t.Name())) // a hash takes everything
	return int(sum.Sum32() % uint32(n))
}
