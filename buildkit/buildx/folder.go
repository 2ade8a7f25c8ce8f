package buildx

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/internal/lazy"
)

// EnvConfig names the variable with buildx's folder.
const EnvConfig = "BUILDX_CONFIG"

// ErrUnknown means that no builder has the name.
var ErrUnknown = errors.New("no such builder")

// Folder is a folder with buildx's files. The zero value has no builder.
type Folder struct{ dir string }

// Find returns the folder that [EnvConfig] names, or otherwise the one in Docker's config folder,
// which may be "".
func Find(lookup func(string) (string, bool), dockerConfig string) Folder {
	if dir, _ := lookup(EnvConfig); dir != "" {
		return Folder{dir}
	}
	if dockerConfig == "" {
		return Folder{}
	}
	return Folder{filepath.Join(dockerConfig, "buildx")}
}

// At returns the folder at a path.
func At(dir string) Folder { return Folder{dir} }

// namePattern matches the names that buildx accepts (store.ValidateName). They have no path
// separator, so a name never leads out of the folder.
var namePattern = lazy.Regexp(`^[a-zA-Z][a-zA-Z0-9._-]*$`)

// Builder returns the builder of that name, which is not case sensitive. The error is [ErrUnknown],
// or names the broken file.
func (f Folder) Builder(name string) (Builder, error) {
	if !namePattern().MatchString(name) {
		return Builder{}, fmt.Errorf("%w: %q", ErrUnknown, name)
	}
	raw, err := f.read("instances", strings.ToLower(name))
	if errors.Is(err, fs.ErrNotExist) {
		return Builder{}, fmt.Errorf("%w: %q", ErrUnknown, name)
	}
	if err != nil {
		return Builder{}, err
	}
	var b Builder
	if err := json.Unmarshal(raw, &b); err != nil {
		return Builder{}, f.broken(err, "instances", strings.ToLower(name))
	}
	// The name in the file becomes a part of paths and commands too.
	if !namePattern().MatchString(b.Name) || !strings.EqualFold(b.Name, name) || len(b.Nodes) == 0 {
		return Builder{}, f.broken(errors.New("it has no node, or not its own name"), "instances",
			strings.ToLower(name))
	}
	return b, nil
}

// Names returns the names of the builders whose files can be read, in order.
func (f Folder) Names() (names []string) {
	if f.dir == "" {
		return nil
	}
	files, err := os.ReadDir(filepath.Join(f.dir, "instances"))
	if err != nil {
		return nil
	}
	for _, file := range files {
		if b, err := f.Builder(file.Name()); err == nil {
			names = append(names, b.Name)
		}
	}
	return names
}

// Selection is a builder that the user has selected.
type Selection struct {
	Builder
	// Why is a human-readable note on where the selection comes from.
	Why string
}

// Selected returns the builder that buildx uses if the caller names none, for a Docker endpoint: a
// context's name, or the host of the default context. ok is false if buildx uses the endpoint's own
// BuildKit. As in buildx, a selected builder that has been removed does not count.
func (f Folder) Selected(endpoint string) (s Selection, ok bool, err error) {
	cur, err := f.current()
	if err != nil {
		return Selection{}, false, err
	}
	switch {
	case cur.Name == "":
	case cur.Global:
		s, ok, err = f.selection(cur.Name, "selected by `docker buildx use --global`")
		if ok || err != nil || cur.Key != endpoint {
			break
		}
		return Selection{}, false, nil
	case cur.Key == endpoint:
		return f.selection(cur.Name, "selected by `docker buildx use`")
	}
	if ok || err != nil {
		return s, ok, err
	}
	name, err := f.read("defaults", hash(endpoint))
	if errors.Is(err, fs.ErrNotExist) {
		return Selection{}, false, nil
	}
	if err != nil {
		return Selection{}, false, err
	}
	return f.selection(string(name), "selected for "+endpoint+" by `docker buildx use --default`")
}

func (f Folder) selection(name, why string) (Selection, bool, error) {
	b, err := f.Builder(name)
	if errors.Is(err, ErrUnknown) {
		return Selection{}, false, nil
	}
	return Selection{b, why}, err == nil, err
}

// current is the content of the file "current".
type current struct {
	// Key is the Docker endpoint of the selection. A Global selection is for all endpoints.
	Key    string
	Name   string
	Global bool
}

func (f Folder) current() (c current, err error) {
	raw, err := f.read("current")
	if errors.Is(err, fs.ErrNotExist) {
		return current{}, nil
	}
	if err != nil {
		return current{}, err
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return current{}, f.broken(err, "current")
	}
	return c, nil
}

// hash returns the name of an endpoint's file in the folder "defaults".
func hash(endpoint string) string {
	sum := sha256.Sum256([]byte(endpoint))
	return hex.EncodeToString(sum[:])[:20]
}

func (f Folder) read(elem ...string) ([]byte, error) {
	if f.dir == "" {
		return nil, fs.ErrNotExist
	}
	raw, err := os.ReadFile(f.path(elem))
	if err != nil {
		return nil, fmt.Errorf("buildx's files: %w", err)
	}
	return raw, nil
}

func (f Folder) path(elem []string) string {
	return filepath.Join(append([]string{f.dir}, elem...)...)
}

func (f Folder) broken(err error, elem ...string) error {
	return errdef.In(errdef.BuildxFileBroken, "",
		fmt.Errorf("buildx's file %s: %w", f.path(elem), err))
}
