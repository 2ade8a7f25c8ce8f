package history

import (
	"bytes"
	"iter"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// A build is in two groups: the builds of its kind, and those of them that have its name. In each
// the keys are in the order of time, so that a search visits only what it finds.

// tuple is the kind and the name of a build.
func tuple(b Build) []byte { return []byte(b.kind() + "\x00" + b.Name) }

// isHitTuple reports whether a tuple is that of a hit.
func isHitTuple(t []byte) bool { return bytes.HasPrefix(t, []byte(KindHit+"\x00")) }

// groupOf returns what the keys of a group begin with. Without a name it is that of all builds of
// the kind.
func groupOf(kind, name string) []byte { return []byte(kind + "\x00" + name + "\x00") }

// groupsOf returns the groups of the build with that tuple.
func groupsOf(tuple []byte) [][]byte {
	kind, name, _ := bytes.Cut(tuple, []byte{0})
	return [][]byte{groupOf(string(kind), ""), groupOf(string(kind), string(name))}
}

// putGroups adds a build to its groups.
func putGroups(tx *bolt.Tx, tuple, key []byte) error {
	for _, group := range groupsOf(tuple) {
		if err := tx.Bucket(bucketGroups).Put(append(group, key...), nil); err != nil {
			return err
		}
	}
	return nil
}

// dropGroups removes a build from its groups.
func dropGroups(tx *bolt.Tx, tuple, key []byte) error {
	for _, group := range groupsOf(tuple) {
		if err := tx.Bucket(bucketGroups).Delete(append(group, key...)); err != nil {
			return err
		}
	}
	return nil
}

// groups returns the groups that a filter chooses from. No build is in two of them.
func (f Filter) groups() (list [][]byte) {
	names, kinds := f.Names, f.Kinds
	switch {
	case len(f.Only) > 0 && len(names) > 0:
		names = slices.DeleteFunc(slices.Clone(names),
			func(n string) bool { return !among(f.Only, n) })
	case len(f.Only) > 0:
		names = f.Only
	case len(names) == 0:
		names = []string{""}
	}
	if len(kinds) == 0 {
		kinds = Kinds
	}
	for _, name := range distinct(names) {
		for _, kind := range distinct(kinds) {
			list = append(list, groupOf(kind, name))
		}
	}
	return list
}

// distinct returns a list without what it repeats, sorted.
func distinct(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }

// match returns the keys of the builds that a filter chooses, the newest first.
func match(tx *bolt.Tx, f Filter) [][]byte {
	keys := slices.Collect(visit(tx, f))
	slices.SortFunc(keys, func(a, b []byte) int { return bytes.Compare(b, a) })
	if f.Limit > 0 {
		keys = keys[:min(len(keys), f.Limit)]
	}
	return keys
}

// visit yields each key that a search looks at: those that the filter chooses, of each group no
// more than its limit.
func visit(tx *bolt.Tx, f Filter) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		c := tx.Bucket(bucketGroups).Cursor()
		for _, group := range f.groups() {
			n := 0
			for key := before(c, group, f); bytes.HasPrefix(key, group); key, _ = c.Prev() {
				key := key[len(group):]
				if startOf(key).Before(f.Since) || (f.Limit > 0 && n == f.Limit) {
					break
				}
				if n++; !yield(key) {
					return
				}
			}
		}
	}
}

// before moves a cursor to the newest build of a group that started before the time of the filter,
// if it has one, and otherwise to one of another group.
func before(c *bolt.Cursor, group []byte, f Filter) []byte {
	end := append(bytes.Clone(group[:len(group)-1]), 1) // behind the group
	if !f.Before.IsZero() {
		end = append(bytes.Clone(group), keyOf(f.Before, "")...)
	}
	key, _ := c.Seek(end)
	if key == nil {
		key, _ = c.Last()
		return key
	}
	key, _ = c.Prev()
	return key
}
