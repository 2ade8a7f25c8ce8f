// Package tidy prunes images by itself: at intervals, and when their disk fills up.
//
// It guarantees that
//   - there is one prune at a time;
//   - what goes is what [pinion.Orchestrator.Prune] would remove with the same bounds;
//   - a build waits no longer than two minutes for room to be made.
//
// It does not guarantee that there is room afterwards: what is in use stays, and so does what
// others put on the disk.
package tidy
