package resolver

import (
	"cmp"
	"context"
	"fmt"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// namesOf returns the names that a ref may have at its server. For a pull request that depends on
// the forge:
//
//   - refs/pull/<n>/head at GitHub (https://docs.github.com/en/pull-requests, "Checking out pull
//     requests locally"), Gitea and Forgejo;
//   - refs/merge-requests/<n>/head at GitLab
//     (https://docs.gitlab.com/user/project/merge_requests/merge_request_troubleshooting/);
//   - refs/pull-requests/<n>/from at Bitbucket Data Center, which calls it internal and may update
//     it late (https://community.atlassian.com/t5/Bitbucket-questions/qaq-p/772142).
//
// Where the forge is not known, each may be there.
func (c *Client) namesOf(remote git.Remote, ref git.Ref) []string {
	n := ref.PullRequest()
	if n == 0 {
		return []string{ref.String()}
	}
	gitLab := fmt.Sprintf("refs/merge-requests/%d/head", n)
	switch cmp.Or(c.servers.For(remote).Forge, forgeOf(remote.Host())) {
	case ForgeGitLab:
		return []string{gitLab}
	case ForgeGitea, ForgeForgejo, ForgeGitHub:
		return []string{ref.String()}
	}
	return []string{ref.String(), gitLab, fmt.Sprintf("refs/pull-requests/%d/from", n)}
}

// pullRequestHead returns the head of a pull request, if it is the commit that is wanted or if none
// is.
func pullRequestHead(
	ctx context.Context, heads Heads, t Template, want Pin, hint Dialect,
) (Head, error) {
	ref, err := git.PullRequest(want.PullRequest)
	if err != nil {
		return Head{}, err
	}
	head, err := heads.Head(ctx, t.Remote, ref, hint)
	if err == nil && !want.Revision.IsZero() && head.Revision != want.Revision {
		return Head{}, notOnBranch(fmt.Sprintf("the head of pull request %d is %s by now",
			want.PullRequest, head.Revision))
	}
	return head, err
}
