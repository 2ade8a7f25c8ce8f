package cache

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestPutAndRead(t *testing.T) {
	d := openDir(t, filepath.Join(t.TempDir(), "new", "cache"))
	old, young := record("01"), record("02")
	young.BuiltAt = old.BuiltAt.Add(time.Minute)
	otherStore, otherLine, otherKind := record("03"), record("04"), record("02")
	otherStore.Store = "tcp://engine.example:2375"
	otherLine.Line = "sha256:bbbb"
	otherKind.StoreKind, otherKind.BuiltAt = "containerd", old.BuiltAt.Add(-time.Minute)
	put(t, d, old, young, otherStore, otherLine, otherKind)

	recs, rejected, err := d.Records(testLine, testStore)
	if want := []Record{young, old, otherKind}; err != nil || rejected != nil ||
		!reflect.DeepEqual(recs, want) {
		t.Errorf("records %+v, rejected %v, %v, want %+v", recs, rejected, err, want)
	}
	all, err := d.All()
	if err != nil || len(all) != 5 || !reflect.DeepEqual(all[0], young) {
		t.Errorf("all %+v, %v, want 5 with the youngest first", all, err)
	}
	info, err := os.Stat(fileOf(t, d, old))
	if err != nil || (runtime.GOOS != "windows" && info.Mode().Perm() != 0o600) {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
}

// A record has the fields that older versions do not write, and one without them is read as well.
func TestDescriptorIsOptional(t *testing.T) {
	d := openDir(t, t.TempDir())
	with, without := record("01"), record("02")
	with.Descriptor = &ocispecs.Descriptor{
		MediaType: ocispecs.MediaTypeImageManifest, Digest: digest.FromString("manifest"),
		Size:        855,
		Annotations: map[string]string{ocispecs.AnnotationCreated: "2026-11-23T19:10:07Z"},
	}
	put(t, d, with, without)
	for _, want := range []Record{with, without} {
		if raw, err := os.ReadFile(fileOf(t, d, want)); err != nil ||
			strings.Contains(string(raw), `"descriptor"`) != (want.Descriptor != nil) {
			t.Errorf("%s, %v", raw, err)
		}
		recs, _, err := d.Records(testLine, testStore)
		if err != nil || !slices.ContainsFunc(recs, func(got Record) bool {
			return reflect.DeepEqual(got, want)
		}) {
			t.Errorf("records %+v, %v, want %+v among them", recs, err, want)
		}
	}
}

// TestForgetRemovesEmptyFolders: of the store and of the line, and a Put at the same time does not
// fail for that.
func TestForgetRemovesEmptyFolders(t *testing.T) {
	d := openDir(t, filepath.Join(t.TempDir(), "cache"))
	one, two := record("11"), record("22")
	elsewhere := record("11")
	elsewhere.Store = "unix:///other.sock"
	put(t, d, one, two, elsewhere)
	for _, m := range []struct {
		rec    Record
		isHead bool
	}{{two, true}, {one, false}, {elsewhere, true}} {
		marks := d.Marks(m.rec.Line, m.rec.Store).With(m.rec, m.isHead)
		if err := d.PutMarks(m.rec.Line, m.rec.Store, marks); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		rec     Record
		folders int
	}{{one, 2}, {two, 1}, {elsewhere, 0}} {
		if err := d.Forget(c.rec); err != nil {
			t.Fatal(err)
		}
		stores, _ := filepath.Glob(filepath.Join(d.Path(), recordsDir, "*", "*"))
		if lines, _ := filepath.Glob(filepath.Join(d.Path(), recordsDir, "*")); len(stores) !=
			c.folders || len(lines) != min(c.folders, 1) {
			t.Errorf("folders %q, %q", lines, stores)
		}
	}
	create := d.create
	d.create = func(name string) (tempFile, error) {
		d.create = create
		if err := d.Forget(two); err != nil { // its folder is empty
			t.Error(err)
		}
		return d.create(name)
	}
	put(t, d, one)
	if got, _ := keys(t, d); got != "11" {
		t.Errorf("records %q", got)
	}
}

func TestPutReplacesAndForgetRemoves(t *testing.T) {
	d := openDir(t, t.TempDir())
	rec := record("01")
	put(t, d, rec)
	rec.ImageID = "sha256:" + strings.Repeat("ff", 32)
	put(t, d, rec)
	if recs, _, err := d.Records(testLine, testStore); err != nil || len(recs) != 1 ||
		!reflect.DeepEqual(recs[0], rec) {
		t.Errorf("records %+v, %v, want the second alone", recs, err)
	}
	for range 2 {
		if err := d.Forget(rec); err != nil {
			t.Error(err)
		}
	}
	if got, _ := keys(t, d); got != "" {
		t.Errorf("after forgetting: %s", got)
	}
}

func TestNothingThere(t *testing.T) {
	d := openDir(t, t.TempDir())
	if got, rejected := keys(t, d); got != "" || rejected != 0 {
		t.Errorf("records %s, rejected %d", got, rejected)
	}
	if all, err := d.All(); err != nil || all != nil {
		t.Errorf("all %v, %v", all, err)
	}
}

func TestWhatCannotBeFiled(t *testing.T) {
	d := openDir(t, t.TempDir())
	for name, spoil := range map[string]func(*Record){
		"no key":            func(r *Record) { r.Key = "" },
		"key with a slash":  func(r *Record) { r.Key = "a/b" },
		"key goes up":       func(r *Record) { r.Key = ".." },
		"key in upper case": func(r *Record) { r.Key = "AB" },
		"key with a NUL":    func(r *Record) { r.Key = "a\x00" },
		"long key":          func(r *Record) { r.Key = strings.Repeat("a", 200) },
		"no line":           func(r *Record) { r.Line = "sha256:" },
		"line with a dash":  func(r *Record) { r.Line = "-rf" },
		"no store kind":     func(r *Record) { r.StoreKind = "" },
		"no store":          func(r *Record) { r.Store = "" },
		"no image ID":       func(r *Record) { r.ImageID = "" },
	} {
		t.Run(name, func(t *testing.T) {
			rec := record("01")
			spoil(&rec)
			var typed *Error
			if err := d.Put(rec); !errors.Is(err, ErrInvalidRecord) || !errors.As(err, &typed) {
				t.Errorf("put: %v, want ErrInvalidRecord", err)
			}
		})
	}
	if got := files(t, d); got != "[]" {
		t.Errorf("files %s, want none", got)
	}
}

func TestFault45_UnreadableRecordsArePutAside(t *testing.T) {
	whole, err := encode(record("01"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(whole)
	for name, content := range map[string]string{
		"empty":            "",
		"truncated":        text[:len(text)/2],
		"garbled":          "\x00\x01\x02" + text,
		"newer":            strings.Replace(text, `"schema": 1`, `"schema": 2`, 1),
		"without a schema": strings.Replace(text, `"schema": 1`, `"schema": 0`, 1),
		"two records":      text + text,
		"another type":     `["` + strings.Repeat("x", 10) + `"]`,
		"huge":             text + strings.Repeat(" ", maxRecordSize),
		"of another key":   strings.Replace(text, `"sha256:01"`, `"sha256:02"`, 1),
		"of another store": strings.ReplaceAll(text, testStore, "unix:///other.sock"),
		"of another line":  strings.Replace(text, testLine, "sha256:bbbb", 1),
		"without its image": strings.Replace(text, `"image_id": "`,
			`"image_id": "", "other": "`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			d := openDir(t, t.TempDir())
			good := record("ff")
			put(t, d, good)
			path := fileOf(t, d, record("01"))
			write(t, path, content)
			recs, rejected, err := d.Records(testLine, testStore)
			if err != nil || len(recs) != 1 || !reflect.DeepEqual(recs[0], good) {
				t.Errorf("records %+v, %v, want the good one", recs, err)
			}
			want := filepath.ToSlash(strings.TrimPrefix(path, d.Path()+string(filepath.Separator)))
			if !slices.Equal(rejected, []string{want}) {
				t.Errorf("rejected %q, want %q", rejected, want)
			}
			if _, err := os.Stat(path + badSuffix); err != nil {
				t.Errorf("not renamed: %v", err)
			}
			if got, again := keys(t, d); got != "ff" || again != 0 {
				t.Errorf("asked again: %s, %d rejected", got, again)
			}
			put(t, d, record("01"))
			if got, _ := keys(t, d); got != "01 ff" && got != "ff 01" {
				t.Errorf("after the next build: %s", got)
			}
		})
	}
}

// An unknown field is ignored if the schema is known.
func TestUnknownFieldsAreIgnored(t *testing.T) {
	d := openDir(t, t.TempDir())
	whole, err := encode(record("01"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, fileOf(t, d, record("01")),
		strings.Replace(string(whole), "{", `{"added_later": true,`, 1))
	if got, rejected := keys(t, d); got != "01" || rejected != 0 {
		t.Errorf("records %s, %d rejected", got, rejected)
	}
}

func TestFault53_ClockJumps(t *testing.T) {
	d := openDir(t, t.TempDir())
	past, future, never := record("01"), record("02"), record("03")
	past.BuiltAt = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	future.BuiltAt = time.Date(2199, 1, 1, 0, 0, 0, 0, time.UTC)
	never.BuiltAt = time.Time{}
	put(t, d, past, future, never)
	for _, rec := range []Record{past, future, never} {
		// The times of the files do not matter either.
		if err := os.Chtimes(fileOf(t, d, rec), rec.BuiltAt, rec.BuiltAt); err != nil {
			t.Fatal(err)
		}
	}
	if got, rejected := keys(t, d); got != "02 01 03" || rejected != 0 {
		t.Errorf("records %s, %d rejected, want all three", got, rejected)
	}
}
