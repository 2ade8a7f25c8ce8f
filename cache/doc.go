// Package cache stores what Pinion needs between runs: one record for each
// image that it built, and the file locks that make concurrent builds of the
// same recipe one build. It also stores BuildKit's own cache by commit, for
// builders that have none.
//
// What it guarantees:
//   - A record appears whole or not at all (temporary file, fsync, rename). A
//     process killed at any step leaves at worst a temporary file, which no
//     reader takes for a record.
//   - A record that cannot be read, or that a newer Pinion wrote, is renamed
//     and reported to the caller; it is never an error and never a hit.
//   - A lock belongs to an open file, so the kernel frees it when its holder
//     dies. Lock files are never removed: if one were removed while another
//     process waits for it, two processes could hold the lock.
//   - Nothing outside the cache folder is ever read or written, even if there
//     are symbolic links in it (os.Root).
//
// What it does not guarantee:
//   - A record proves nothing. It says what was true when it was written; the
//     caller compares it with the image store.
//   - That saved build caches have the content of their digests, unless Repair
//     has compared them.
//   - Locks between hosts. flock on a network file system may be local to each
//     host, so two hosts that share a cache folder may build the same image
//     twice; each still ends with a whole record.
//   - Anything derived from time. BuiltAt orders records, for display and for
//     retention; whether a record is a hit never depends on it.
package cache
