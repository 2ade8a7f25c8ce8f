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
	"regexp"
	"strings"
)

// EnvConfig names the variable with buildx's folder.
const EnvConfig = "BUILDX_CONFIG"

// ErrUnknown says that no builder has the name.
var ErrUnknown = errors.New("no such builder")

// Folder is where buildx keeps what it knows. The zero value knows no builder.
type Folder struct{ dir string }

// Find is the folder that [EnvConfig] names, else the one in Docker's config folder, which may be
// "".
func Find(lookup func(string) (string, bool), dockerConfig string) Folder {
	if dir, _ := lookup(EnvConfig); dir != "" {
		return Folder{dir}
	}
	if dockerConfig == "" {
		return Folder{}
	}
	return Folder{filepath.Join(dockerConfig, "buildx")}
}

// At is the folder at a path.
func At(dir string) Folder { return Folder{dir} }

// namePattern is what buildx accepts (store.ValidateName). It has no separator, so a name never
// leaves the folder.
var namePattern = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9._-]*$`)

// Builder reads the builder of that name, in whatever case. The error is [ErrUnknown], or says
// which file is broken.
func (f Folder) Builder(name string) (Builder, error) {
	if !namePattern.MatchString(name) {
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
	// What stands in the file becomes part of paths and commands too.
	if !namePattern.MatchString(b.Name) || !strings.EqualFold(b.Name, name) || len(b.Nodes) == 0 {
		return Builder{}, f.broken(errors.New("it has no node, or not its own name"), "instances",
			strings.ToLower(name))
	}
	return b, nil
}

// Selection is a builder and how it came to be the one.
type Selection struct {
	Builder
	// Why, for people.
	Why string
}

// Selected is the builder that buildx takes where none is named, for the Docker endpoint: a
// context's name, or the host of the default context. ok is false if that is the endpoint's own
// BuildKit. As in buildx, a selected builder that was removed since is none.
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

// current is the file of that name.
type current struct {
	// Key is the Docker endpoint that the selection is for, unless it is Global.
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

// hash is what buildx calls an endpoint's file in defaults.
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
	return fmt.Errorf(
		"buildx's file %s: %w; `docker buildx use` and `docker buildx rm` write it anew",
		f.path(elem), err,
	)
}
