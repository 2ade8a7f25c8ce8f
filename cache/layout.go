package cache

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strings"
)

// The folders and names inside the cache. Readers read files with recordSuffix
// alone, so neither temporary files nor rejected ones are ever used.
const (
	recordsDir   = "records"
	locksDir     = "locks"
	recordSuffix = ".json"
	badSuffix    = ".bad"
	lockSuffix   = ".lock"
	tempPrefix   = ".tmp-"
)

// path returns the record's file relative to the cache folder:
// records/<line>/<store hash>/<key>-<kind>.json.
func (r Record) path() (string, error) {
	dir, err := recordFolder(r.Line, r.Store)
	if err != nil {
		return "", err
	}
	key, err := component("key", r.Key)
	if err != nil {
		return "", err
	}
	kind, err := component("store kind", r.StoreKind)
	if err != nil {
		return "", err
	}
	return path.Join(dir, key+"-"+kind+recordSuffix), nil
}

func recordFolder(line, store string) (string, error) {
	name, err := component("line", line)
	if err != nil {
		return "", err
	}
	// An endpoint has slashes and any length. Half a digest distinguishes
	// endpoints, and the full endpoint in the record is compared as well.
	sum := sha256.Sum256([]byte(store))
	return path.Join(recordsDir, name, hex.EncodeToString(sum[:16])), nil
}

// component returns a digest or a word as one element of a path. It accepts
// what every file system treats alike: lower-case letters, digits, dots,
// dashes and underscores, not starting with a dot or a dash.
func component(what, s string) (string, error) {
	name := strings.TrimPrefix(s, "sha256:")
	if name == "" || len(name) > 128 || strings.HasPrefix(name, ".") ||
		strings.HasPrefix(name, "-") {
		return "", fmt.Errorf("%w: bad %s %q", ErrInvalidRecord, what, s)
	}
	for _, c := range name {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789.-_", c) {
			return "", fmt.Errorf("%w: bad %s %q", ErrInvalidRecord, what, s)
		}
	}
	return name, nil
}
