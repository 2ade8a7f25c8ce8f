// Package cache keeps what Pinion remembers between runs: one record for each
// image that it built, and the file locks that make concurrent builds of the
// same recipe one build. Beside them lies BuildKit's own cache, saved by
// commit, for builders that have none.
//
// What it guarantees:
//   - A record appears whole or not at all (temporary file, fsync, rename). A
//     process killed at any step leaves at worst a temporary file, which no
//     reader takes for a record.
//   - A record that cannot be read, or that a newer Pinion wrote, is put aside
//     and named to the caller; it is never an error and never a hit.
//   - A lock belongs to an open file, so the kernel frees it when its holder
//     dies. Lock files are never unlinked: unlinking one that another process
//     waits for would hand out the lock twice.
//   - Nothing outside the cache folder is ever read or written, whatever
//     symbolic links are planted in it (os.Root).
//
// What it does not guarantee:
//   - A record proves nothing. It says what was true when it was written; the
//     caller compares it with the image store.
//   - Locks between hosts. flock on a network file system may be local to each
//     host, so two hosts that share a cache folder may build the same image
//     twice; each still ends with a whole record.
//   - Anything derived from time. BuiltAt orders records, for people and for
//     deciding which images are old; whether one is a hit never depends on it.
package cache
