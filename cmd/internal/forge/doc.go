// Package forge says at a forge what became of a commit: it sends commit statuses to Gitea,
// Forgejo, GitHub and GitLab.
//
// It guarantees that
//   - no build waits for a forge or fails because of one;
//   - a token goes to the API of its own host alone, and not to where that redirects;
//   - the states of a commit arrive in their order, as far as they arrive.
//
// It does not guarantee that a status arrives.
package forge
