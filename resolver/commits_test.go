package resolver

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// packOf is a pack of commits with these texts, before an object of another kind.
func packOf(texts ...string) string {
	all := pack(uint32(len(texts)+1), 1, texts[0])
	for _, text := range texts[1:] {
		all += pack(1, 1, text)[12:]
	}
	return all + pack(1, 2, "a tree")[12:]
}

func commitText(message string) string {
	return "tree x\nparent y\nauthor A U Thor <a@example> 1700000000 +0100\n" +
		"committer C <c@example> 1 +0000\n" +
		"gpgsig x\n\n" + message
}

// TestReadCommits: the commits at the beginning of a pack, and whether there may be more.
func TestReadCommits(t *testing.T) {
	read := func(pack string) ([]CommitInfo, bool, error) {
		return readCommits(strings.NewReader(pack), git.SHA1)
	}
	list, more, err := read(packOf(commitText("second\x1b[31m\n\nbody"), commitText("\nfirst\n")))
	if err != nil || more || len(list) != 2 {
		t.Fatalf("%+v, %t, %v", list, more, err)
	}
	want := CommitInfo{Revision: mustRevision(t, nameOf([]byte(commitText("\nfirst\n")), git.SHA1)),
		Subject: "first", Author: "A U Thor", Time: time.Unix(1700000000, 0).UTC()}
	if list[1] != want {
		t.Errorf("got %+v, want %+v", list[1], want)
	}
	if s := list[0].Subject; strings.Contains(s, "\x1b") || !strings.HasPrefix(s, "second") {
		t.Errorf("the subject is %q", s)
	}

	var many []string
	for i := range MaxCommits + 1 {
		many = append(many, commitText(fmt.Sprint(i, strings.Repeat("é", maxSubject))))
	}
	list, more, err = read(packOf(many...))
	if err != nil || !more || len(list) != MaxCommits {
		t.Errorf("of %d commits there are %d, %t, %v", len(many), len(list), more, err)
	}
	if s := list[0].Subject; len(s) > maxSubject+len("…") || strings.ToValidUTF8(s, "") != s {
		t.Errorf("the subject is %q", s)
	}

	for name, pack := range map[string]string{
		"no pack": "KCAP" + strings.Repeat("\x00", 8), "a short pack": packOf(commitText("x"))[:20],
	} {
		if list, _, err := read(pack); err == nil {
			t.Errorf("%s: %+v", name, list)
		}
	}
	whole := pack(2, 1, commitText("x"))
	list, more, err = read(whole + pack(1, 6, "a difference")[12:])
	if len(list) != 1 || !more || err != nil {
		t.Errorf("a commit that is a difference: %+v, %t, %v", list, more, err)
	}
}
