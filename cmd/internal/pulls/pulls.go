package pulls

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/server"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// maxActive bounds the pull requests that are looked up or built at once.
const maxActive = 100

// Orchestrator is the part of a [pinion.Orchestrator] that says what is allowed.
type Orchestrator interface {
	Templates() []pinion.Resolution
	PullRequests(name string) (pinion.PullRequests, bool)
	ClosePullRequest(ctx context.Context, name string, number int) error
}

// Builder builds heads of pull requests. A [server.Server] is one.
type Builder interface {
	// WarmPullRequest finds or builds the image of a pull request whose head is that commit. It
	// does not wait for the build.
	WarmPullRequest(
		ctx context.Context, name string, number int, head git.Revision,
	) (server.Call, error)
}

// Builds follows events. [New] makes it.
type Builds struct {
	orchestrator Orchestrator
	log          *slog.Logger

	mu      sync.Mutex
	active  map[key]*pull
	ctx     context.Context // of Run; nil unless it runs
	builder Builder
	all     sync.WaitGroup
}

// key is a pull request of the repository of a template.
type key struct {
	template string
	number   int
}

// New makes builds of what the orchestrator allows. Failures go to the logger.
func New(o Orchestrator, log *slog.Logger) *Builds {
	return &Builds{orchestrator: o, log: log, active: map[key]*pull{}}
}

// Run builds until ctx ends. It may be called once. Builds in progress continue.
func (b *Builds) Run(ctx context.Context, by Builder) {
	b.mu.Lock()
	b.ctx, b.builder = ctx, by
	b.mu.Unlock()
	<-ctx.Done()
	b.mu.Lock()
	b.ctx = nil
	b.mu.Unlock()
	b.all.Wait()
}

// Reported handles an event. It is a [server.PullRequestFunc].
func (b *Builds) Reported(e server.PullRequestEvent) (a server.PullRequestAnswer) {
	for _, t := range b.orchestrator.Templates() {
		if !isOf(t.Repository, e.Repository) {
			continue
		}
		a.Known = true
		rules, ok := b.orchestrator.PullRequests(t.Name)
		if !ok {
			continue
		}
		reason := refusal(t, rules, e)
		if reason == "" && !b.take(key{t.Name, e.Number}, e) {
			reason = "too many pull requests are looked up or built, or the server ends"
		}
		if reason == "" {
			a.Templates = append(a.Templates, t.Name)
		} else {
			a.Refused = append(a.Refused, t.Name+": "+reason)
		}
	}
	return a
}

// isOf reports whether a repository's URL is that of what an event names. The name has a slash in
// it, and on GitLab more than one.
func isOf(url, repository string) bool {
	return strings.Contains(repository, "/") && server.IsRepository(url, repository)
}

// refusal says why the rules do not allow a build for the event, "" if they do.
func refusal(t pinion.Resolution, rules pinion.PullRequests, e server.PullRequestEvent) string {
	branch, named := strings.CutPrefix(t.Ref, "refs/heads/")
	if !named {
		branch = e.DefaultBranch
	}
	switch {
	case e.Closed:
		return ""
	case branch != "" && e.Base != branch:
		return fmt.Sprintf("it is for the branch %q, and not for %q", e.Base, branch)
	case rules.Allows(e.Origin):
		return ""
	}
	origin := "a fork"
	if e.Origin.SameRepository {
		origin = "a branch of the repository"
	}
	author := "an unknown author"
	if len(e.Origin.Authors) > 0 {
		author = e.Origin.Authors[0]
	}
	allowed := "nobody's"
	if len(rules.From) > 0 {
		allowed = "those from " + strings.Join(rules.From, " and ")
	}
	return fmt.Sprintf("it is from %s, by %s, and pull_requests in the config file allows %s; "+
		"it is built if somebody requests it", origin, author, allowed)
}

// take hands the event over to what follows the pull request, and reports whether something does.
func (b *Builds) take(k key, e server.PullRequestEvent) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.active[k]
	switch {
	case b.ctx == nil, p == nil && len(b.active) >= maxActive:
		return false
	case p == nil:
		p = &pull{key: k, builds: b, builder: b.builder, nudges: make(chan struct{}, 1)}
		b.active[k] = p
		ctx := b.ctx
		b.all.Go(func() { p.run(ctx) })
	}
	p.event = e
	select {
	case p.nudges <- struct{}{}:
	default:
	}
	return true
}

// pauses are the times until the head is looked up, and looked up again if it is not there
// yet: a forge may send the event before its git server has the commit.
func pauses() []time.Duration {
	return []time.Duration{0, time.Second, 5 * time.Second, 20 * time.Second}
}
