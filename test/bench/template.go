package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// name is the runtime whose template is built, and repoPrefix what stands before it in the
// repository's name.
const (
	name       = "hermes"
	repoPrefix = "workspace-template-"
)

// The template has 8 layers, 6 of which hold 4 copies of busybox (2 MB) each: about 50 MB that
// compress as programs do, from a repository of 2 MB. Each step's text makes its files different
// from those of the others.
const (
	dataLayers    = 6
	filesPerLayer = 4
)

// template is a repository on the git server.
type template struct {
	gitea    *parts.Gitea
	repo     parts.Repo
	revision string
	via      string // the URL of what stands before the git server; empty: nothing
}

func pushTemplate(ctx context.Context, g *parts.Gitea) (template, error) {
	var steps []string
	for layer := range dataLayers {
		steps = append(steps, fmt.Sprintf("RUN for n in $(/bin/busybox seq %d); do "+
			"{ echo layer %d file $n; /bin/busybox cat /bin/busybox; } > /data-%d-$n; done",
			filesPerLayer, layer, layer))
	}
	files, err := parts.BusyboxTemplate(append(steps, `CMD ["/bin/sh"]`)...)
	if err != nil {
		return template{}, err
	}
	t, err := createTemplate(ctx, g, repoPrefix)
	if err != nil {
		return template{}, err
	}
	if err := t.push(ctx, files); err != nil {
		return template{}, err
	}
	return t, g.Settle(ctx, t.repo)
}

// createTemplate makes the empty repository with the prefix before the template's name.
func createTemplate(ctx context.Context, g *parts.Gitea, prefix string) (template, error) {
	repo, err := g.CreateRepo(ctx, parts.Admin, prefix+name, parts.RepoOptions{})
	return template{gitea: g, repo: repo}, err
}

// push makes the next commit.
func (t *template) push(ctx context.Context, files []parts.File) (err error) {
	t.revision, err = t.gitea.Push(ctx, t.repo, parts.Commit{Files: files})
	return err
}

// serverURL is where the git server is reached.
func (t template) serverURL() string { return cmp.Or(t.via, t.gitea.URL()) }

// repoURL is the repository's page.
func (t template) repoURL() string { return t.serverURL() + "/" + t.repo.String() }

// gitURL is where git finds the repository.
func (t template) gitURL() string { return t.repoURL() + ".git" }

// pinnedURL is the commit as a build context for buildx.
func (t template) pinnedURL() string { return t.gitURL() + "#" + t.revision }

// branchAPI is where Gitea answers with the branch's commit as JSON.
func (t template) branchAPI() string {
	return t.serverURL() + "/api/v1/repos/" + t.repo.String() + "/branches/main"
}

// prefix is the value for MOLECULE_LOCAL_TEMPLATE_REPO_PREFIX.
func (t template) prefix() string { return strings.TrimSuffix(t.repoURL(), name) }
