package buildkit

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const rootAttributes = `# comment
*.bin filter=lfs diff=lfs merge=lfs -text
keep.bin !filter
other.bin filter=other
unset.bin -filter
set.bin filter
twice.bin filter=other filter=lfs
lfsno.bin filter=lfsno
/top.dat filter=lfs
sub/path.dat filter=lfs
deep/** filter=lfs
**/any.dat filter=lfs
a/**/z.dat filter=lfs
folder/ filter=lfs
b/*.dat filter=lfs
[attr]big filter=lfs
*.big big
small.big -filter
no.big -big
*.late late
[attr]late inner2 -x
[attr]inner2 filter=lfs
both.late late filter=x
loop.x loop
[attr]loop loop filter=lfs
!neg.x filter=lfs
[x-z!].cls filter=lfs
[!x].cls2 filter=lfs
q?.dat filter=lfs
[[:digit:]]*.num filter=lfs
[]]f filter=lfs
[\-a]g filter=lfs
[^b]/s filter=lfs
with[[:space:]]space filter=lfs
"quo\"ted \303\274" filter=lfs
esc\*ape filter=lfs
[open filter=lfs
x**y filter=lfs
x**y/z filter=lfs
plus+(a|b).dat filter=lfs
`

const subAttributes = `*.bin -filter
again.bin filter=lfs
/own.dat filter=lfs
in/n.dat filter=lfs
[attr]inner filter=lfs
inner.x inner
`

const attributedFiles = `a.bin keep.bin other.bin unset.bin set.bin twice.bin lfsno.bin d/a.bin
	top.dat d/top.dat sub/path.dat path.dat deep/a deep/b/c deep any.dat d/e/any.dat a/z.dat
	a/b/c/z.dat a/y.dat folder/x b/x.dat b/c/x.dat f.big d/f.big small.big no.big a.late both.late
	loop.x neg.x y.cls !.cls a.cls x.cls2 y.cls2 qq.dat q.dat 1a.num a1.num ]f -g ag bg a/s b/s
	with-space esc*ape escXape [open xay xa/y xay/z xa/by/z plus+(a|b).dat plusa.dat
	sub/a.bin sub/again.bin sub/own.dat sub/d/own.dat sub/in/n.dat sub/in/a.bin
	sub/in/deeper/a.bin sub/inner.x sub/d/again.bin own.dat`

// TestAttributes: the rules are those of git itself.
func TestAttributes(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	dir := t.TempDir()
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1")
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	git("init", "--quiet")
	texts := map[string]string{".": "\ufeff" + rootAttributes +
		strings.Repeat("l", 2100) + ".l filter=lfs\n", "sub": subAttributes,
		"sub/in": "*.bin filter=lfs\n"}
	macros := attributeMacros{}
	rules := map[string]attributeRules{}
	for _, at := range []string{".", "sub", "sub/in"} {
		if err := os.MkdirAll(filepath.Join(dir, at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, at, attributes), []byte(texts[at]),
			0o644); err != nil {
			t.Fatal(err)
		}
		rules[at] = append(append(attributeRules{}, rules[filepath.Dir(at)]...),
			parseAttributes([]byte(texts[at]), at, macros)...)
	}
	files := append(strings.Fields(attributedFiles), "with space", "quo\"ted ü",
		strings.Repeat("l", 200)+".l")
	for _, file := range files {
		at := "."
		for d := filepath.Dir(file); d != "."; d = filepath.Dir(d) {
			if rules[d] != nil {
				at = d
				break
			}
		}
		out := strings.TrimRight(git("check-attr", "-z", "filter", "--", file), "\x00")
		want := out[strings.LastIndex(out, "\x00")+1:] == "lfs"
		if got := rules[at].lfs(file, macros); got != want {
			t.Errorf("%s: %t, git says %s", file, got, fmt.Sprintf("%q", out))
		}
	}
}
