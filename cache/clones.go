package cache

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/internal/fileowner"
	"git.moleculesai.app/molecule-ai/pinion/internal/lazy"
)

// Clone is a git clone that the platform's earlier local build left in the cache folder. Its form
// is <template>/<first 12 digits of the commit>.
type Clone struct {
	Name string `json:"name"` // the template
	Path string `json:"path"` // absolute
	// Commit holds its first 12 digits.
	Commit string `json:"commit"`
	// Size in bytes of its files.
	Size int64 `json:"size"`
}

var (
	shortCommit = lazy.Regexp(`^[0-9a-f]{12}$`)
	fullCommit  = lazy.Regexp(`^(?:[0-9a-f]{40}|[0-9a-f]{64})$`)
)

// Clones returns the clones of the templates that a function knows. Only a folder of this user that
// is called like a commit, and is a git work tree whose HEAD is that commit, is one. All errors are
// *Error.
func (d *Dir) Clones(known func(template string) bool) (clones []Clone, err error) {
	templates, err := fs.ReadDir(d.root.FS(), ".")
	if err != nil {
		return nil, d.fail("read", ".", err)
	}
	for _, t := range templates {
		if !t.IsDir() || !known(t.Name()) {
			continue
		}
		commits, err := fs.ReadDir(d.root.FS(), t.Name())
		if err != nil {
			return nil, d.fail("read", t.Name(), err)
		}
		for _, c := range commits {
			name := path.Join(t.Name(), c.Name())
			if !d.isClone(name, c) {
				continue
			}
			clones = append(clones, Clone{Name: t.Name(), Commit: c.Name(),
				Path: filepath.Join(d.path, filepath.FromSlash(name)), Size: d.sizeOf(name)})
		}
	}
	return clones, nil
}

// RemoveClone removes a clone, and the template's folder if that is empty then. It follows no
// links. All errors are *Error.
func (d *Dir) RemoveClone(c Clone) error {
	name := path.Join(c.Name, c.Commit)
	info, err := d.root.Lstat(name)
	if err == nil && !d.isClone(name, fs.FileInfoToDirEntry(info)) {
		err = errors.New("it is no clone of that commit any more")
	}
	if err == nil {
		err = d.root.RemoveAll(name)
	}
	if err != nil {
		return d.fail("remove", name, err)
	}
	_ = d.root.Remove(c.Name) // one that is not empty stays
	return nil
}

func (d *Dir) isClone(name string, e fs.DirEntry) bool {
	if !e.IsDir() || !shortCommit().MatchString(e.Name()) {
		return false
	}
	info, err := e.Info()
	head := d.head(name)
	return err == nil && fileowner.Ours(info) && fullCommit().MatchString(head) &&
		strings.HasPrefix(head, e.Name())
}

// head returns the commit that HEAD of a clone leads to, or "" if there is no such file or none
// that this package understands.
func (d *Dir) head(clone string) string {
	const symbolic = "ref: "
	head := d.line(path.Join(clone, ".git", "HEAD"))
	ref, isSymbolic := strings.CutPrefix(head, symbolic)
	if !isSymbolic {
		return head
	}
	if !fs.ValidPath(ref) {
		return ""
	}
	return d.line(path.Join(clone, ".git", ref))
}

// line returns the content of a small file without the blanks around it, or "".
func (d *Dir) line(name string) string {
	// Opening a pipe would block.
	if info, err := d.root.Lstat(name); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	f, err := d.root.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, 1<<10))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(content))
}

// sizeOf returns the bytes of the files below a folder, as far as they can be read.
func (d *Dir) sizeOf(name string) (size int64) {
	_ = fs.WalkDir(d.root.FS(), name, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return fs.SkipDir
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			size += info.Size()
		}
		return nil
	})
	return size
}
