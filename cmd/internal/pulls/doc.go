// Package pulls builds the heads of pull requests that webhooks report.
//
// It guarantees that
//   - a pull request is built only if the catalogue allows it for its template and its origin;
//   - what is built is the commit that the event names and that the git server has as the head at
//     the same time, so that neither an event that is repeated nor one of another server that has a
//     repository of the same name leads to the build of another commit;
//   - a pull request has at most one build here: a new head, and the end of the pull request, leave
//     that of the one before.
//
// It does not guarantee that each head is built: an event that was lost is not noticed.
package pulls
