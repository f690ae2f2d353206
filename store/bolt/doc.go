// Package bolt is the embedded store engine: one file, crash-safe, on bbolt.
//
// # Commits
//
// Batches are committed in groups, one bbolt transaction each. A group starts no
// sooner than Options.Pace after the one before was written, so after idle at once.
// Two things let it start sooner: 256 operations wait; or as many batches wait as
// were committed with the last group and waited at its end, which is when all
// writers that wait for their own commits are back. So these, one or many, are
// not held up by the pace. While a group is written, the callbacks of the one
// before are called from another goroutine.
//
// Before a callback gets nil, bbolt has synced the pages of the group, written
// its meta page and synced that. A crash at any moment leaves the last finished
// group. Sync is never skipped.
//
// When a commit goes wrong (disk full, I/O error, failed sync), nobody can say
// what the disk holds, and asking it to sync again proves nothing. All batches
// of the group get an error that wraps ErrFailed, and so does every later call,
// reads included, until the file is opened again. Then it holds every batch that
// was acknowledged. Of the batches that got the error it may hold the group in
// which the disk failed, as a whole, and none after it.
//
// # File
//
// Everything is in root buckets of the bbolt file. Numbers are big-endian.
//
//	meta                       "format": one byte, 1
//	kv                         key: format, revision(8), value
//	                           the sequence of the bucket is the last revision
//	streams                    stream: format, next offset(8)
//	segments                   length, stream, first(8): format, last(8),
//	                           oldest and newest time in epoch milliseconds(8, 8)
//	s length, stream, first(8) offset(8), time(8), format, key: value
//	                           0xff: index of the segment
//
// A stream is cut into segments of 8192 records or 16 MiB, one bucket each, named
// by its first offset. The format byte of a record is in its key, so that its
// value goes from the caller's memory to the page without a copy. A segment that
// is complete gets its index, key to offsets, in the background and with it its
// line in segments; until then it is scanned. Trim drops whole buckets, one in a
// transaction. What is trimmed makes room in the file; the file never shrinks.
//
// Free pages are not written with each commit but when the engine is closed.
// After a crash, Open finds them by walking the whole file.
package bolt
