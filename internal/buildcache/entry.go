package buildcache

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/buildkit/client/ociindex"
	"github.com/opencontainers/go-digest"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

// Entries are the caches that one caller named, besides those of the setting.
type Entries struct{ From, To []buildkit.CacheEntry }

// ParseEntries reads entries as `docker buildx build --cache-from` and `--cache-to` take them, of
// the types registry and local. The error is of kind [resolver.ErrInvalidInput].
func ParseEntries(from, to []string) (e Entries, err error) {
	if e.From, err = parseAll(from, importKeys()); err != nil {
		return Entries{}, err
	}
	if e.To, err = parseAll(to, exportKeys()); err != nil {
		return Entries{}, err
	}
	return e, nil
}

func parseAll(list []string, known map[string][]string) (entries []buildkit.CacheEntry, err error) {
	for _, s := range list {
		e, err := parseEntry(s, known)
		if err != nil {
			return nil, fmt.Errorf("%w: cache %q: %w", resolver.ErrInvalidInput, s, err)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// importKeys returns the keys of each type, the required one first (BuildKit, README, "Export
// cache").
func importKeys() map[string][]string {
	return map[string][]string{"registry": {"ref"}, "local": {"src", "tag", "digest"}}
}

// exportKeys is importKeys for exports.
func exportKeys() map[string][]string {
	how := []string{"mode", "compression", "compression-level", "force-compression",
		"oci-mediatypes", "image-manifest", "ignore-error"}
	return map[string][]string{
		"registry": append([]string{"ref"}, how...),
		"local":    append([]string{"dest", "tag"}, how...),
	}
}

// parseEntry reads the CSV of buildx. Unknown and repeated keys are errors.
func parseEntry(s string, known map[string][]string) (buildkit.CacheEntry, error) {
	e := buildkit.CacheEntry{Attrs: map[string]string{}}
	fields, err := csv.NewReader(strings.NewReader(s)).Read()
	if err != nil {
		return e, errors.New("write type=registry,ref=REF or type=local,src=DIR")
	}
	if len(fields) == 1 && !strings.Contains(fields[0], "=") {
		fields = []string{"type=registry", "ref=" + fields[0]}
	}
	for _, field := range fields {
		key, value, ok := strings.Cut(field, "=")
		if _, twice := e.Attrs[key]; !ok || twice || value == "" || key == "type" && e.Type != "" {
			return e, fmt.Errorf("%q is no key=value, or has a key that was there already", field)
		}
		if key == "type" {
			e.Type = value
			continue
		}
		e.Attrs[key] = value
	}
	return e, checkEntry(e, known)
}

func checkEntry(e buildkit.CacheEntry, known map[string][]string) error {
	keys, ok := known[e.Type]
	if !ok {
		return fmt.Errorf("type %q: registry and local are the types that Pinion knows", e.Type)
	}
	for key := range e.Attrs {
		if !slices.Contains(keys, key) {
			return fmt.Errorf("%q: type=%s takes %s", key, e.Type, strings.Join(keys, ", "))
		}
	}
	place := e.Attrs[keys[0]]
	if place == "" {
		return fmt.Errorf("type=%s needs %s", e.Type, keys[0])
	}
	if _, err := reference.ParseNormalizedNamed(place); e.Type == "registry" && err != nil {
		return fmt.Errorf("%s is no reference: %w", keys[0], err)
	}
	if mode := e.Attrs["mode"]; mode != "" && mode != "min" && mode != "max" {
		return errors.New("mode is min or max")
	}
	return nil
}

// findImport looks into the folder of an entry of type local and sets the entry's digest.
func findImport(e buildkit.CacheEntry) error {
	dir := e.Attrs["src"]
	if _, err := os.Stat(dir); err != nil {
		return err
	}
	if e.Attrs["digest"] == "" {
		tag := cmp.Or(e.Attrs["tag"], "latest")
		desc, err := ociindex.NewStoreIndex(dir).Get(tag)
		if err != nil {
			return err
		}
		if desc == nil {
			return fmt.Errorf("there is no %s in it", tag)
		}
		e.Attrs["digest"] = desc.Digest.String()
	}
	_, err := digest.Parse(e.Attrs["digest"])
	return err
}
