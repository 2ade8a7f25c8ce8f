package output_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/output"
)

func TestWriters(t *testing.T) {
	var b strings.Builder
	for _, write := range []func() error{
		func() error { return output.JSON(&b, "a\u202eb\U000e0001") },
		func() error {
			return output.Table(&b, []string{"NAME", "SIZE"},
				[][]string{{"a\tlong\nname", output.Size(1_234_567)}})
		},
		func() error { return output.Fields(&b, 6, [][2]string{{"One", "1"}, {"Two", "2"}}) },
		func() error {
			n, err := output.CleanWriter{W: &b, Clean: strings.ToUpper}.Write([]byte("x\n"))
			if n != 2 {
				t.Errorf("wrote %d bytes", n)
			}
			return err
		},
	} {
		if err := write(); err != nil {
			t.Error(err)
		}
	}
	want := `"a\u202eb\udb40\udc01"` + "\nNAME          SIZE\na long name   1.23MB\n" +
		"One:  1\nTwo:  2\nX\n"
	if got := b.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestPendingFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, text := range []string{"one", "two"} {
		p, err := output.OpenPending(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Commit([]byte(text)); err != nil {
			t.Fatal(err)
		}
		p.Discard()
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("got %q, %v", got, err)
		}
	}
	p, err := output.OpenPending(path)
	if err != nil {
		t.Fatal(err)
	}
	p.Discard()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}
