package buildkit

import (
	"slices"
	"testing"
)

func TestReplacedLabels(t *testing.T) {
	const source, revision = "org.opencontainers.image.source", "org.opencontainers.image.revision"
	at := func(line, key string) string {
		return "d/Dockerfile:" + line + ": the label " + key + " of the Dockerfile is replaced " +
			"by that of the build"
	}
	for _, c := range []struct {
		name, dockerfile, target string
		want                     []string
	}{
		{"none", "FROM x\nLABEL a=b", "", nil},
		{"of the last stage", "FROM x\nLABEL a=b \\\n  " + source + "=s\nLABEL " + revision +
			"=$SHA", "", []string{at("2", source), at("4", revision)}},
		{"quoted", "FROM x\nLABEL \"" + source + "\"='s'", "", []string{at("2", source)}},
		{"the old form", "FROM x\nLABEL " + source + " a b", "", []string{at("2", source)}},
		{"the same value", "FROM x\nLABEL " + source + "=\"https://h/r\"", "", nil},
		{"twice", "FROM x\nLABEL " + source + "=1\nLABEL " + source + "=2", "",
			[]string{at("2", source)}},
		{"of a stage below", "FROM x AS A\nLABEL " + source + "=1\nFROM a", "",
			[]string{at("2", source)}},
		{"of a stage beside", "FROM x AS a\nLABEL " + source + "=1\nFROM y\nCOPY --from=a / /", "",
			nil},
		{"of the target", "FROM x AS a\nLABEL " + source + "=1\nFROM a\nLABEL " + revision + "=1",
			"a", []string{at("2", source)}},
		{"of the target by its number", "FROM x\nLABEL " + source + "=1\nFROM y", "0",
			[]string{at("2", source)}},
		{"no such target", "FROM x\nLABEL " + source + "=1", "b", nil},
		{"a stage named as its base", "FROM x AS x\nLABEL " + source + "=1\nFROM x AS x", "",
			[]string{at("2", source)}},
		{"not a Dockerfile", "{}", "", nil},
		{"empty", "", "", nil},
	} {
		got := replacedLabels([]byte(c.dockerfile), Request{Dockerfile: "d/Dockerfile",
			Target: c.target, Labels: map[string]string{source: "https://h/r", revision: "aa"}})
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q", c.name, got)
		}
	}
}
