package git_test

import (
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

func TestParseLFSPointer(t *testing.T) {
	const version = "version https://git-lfs.github.com/spec/v1\n"
	oid := strings.Repeat("0a", 32)
	good := version + "oid sha256:" + oid + "\nsize 12345\n"
	want := git.LFSPointer{OID: oid, Size: 12345}
	extended := want
	extended.Extended = true
	for text, want := range map[string]git.LFSPointer{
		good:                                   want,
		strings.TrimSpace(good):                want,
		strings.ReplaceAll(good, "\n", "\r\n"): want,
		strings.Replace(good, "git-lfs", "hawser", 1):                  want,
		strings.Replace(good, "oid", "ext-0-x sha256:"+oid+"\noid", 1): extended,
	} {
		if got, ok := git.ParseLFSPointer([]byte(text)); !ok || got != want {
			t.Errorf("%q: %+v, %t", text, got, ok)
		}
	}
	for _, text := range []string{
		"", version, version + "size 1\noid sha256:" + oid + "\n", good + "size 1\n",
		good + "more x\n", "oid sha256:" + oid + "\nsize 1\n", " " + good,
		strings.Replace(good, "sha256:", "", 1), strings.Replace(good, "sha256", "sha512", 1),
		strings.Replace(good, "0a0a", "0a0", 1), strings.Replace(good, "0a", "0A", 1),
		strings.Replace(good, "12345", "-1", 1), strings.Replace(good, "12345", "1e3", 1),
		strings.Replace(good, "12345", strings.Repeat("9", 20), 1),
		strings.Replace(good, "spec/v1", "spec/v2", 1), good + strings.Repeat("\n", 1024),
	} {
		if got, ok := git.ParseLFSPointer([]byte(text)); ok {
			t.Errorf("%q is a pointer: %+v", text, got)
		}
	}
}
