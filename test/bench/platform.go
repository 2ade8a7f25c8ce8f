package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/test/parts"
)

// The platform's template has the shape of the platform's own: a dozen RUN and a dozen COPY steps,
// switches between two users, one layer of many small files with 9/10 of the size, and a runtime
// with 1/10, whose version is in a file that no step copies. Its commits differ in that file alone.
// RUN makes the data, in folders with copies of files that cannot be compressed, so the build needs
// no network.
const (
	platformRepoPrefix = "platform-"
	smallFile          = 20_000 // bytes
	smallFiles         = 500    // of a folder
)

// platform is the template, and the version of its runtime.
type platform struct {
	template
	files   []parts.File
	version int
}

// needPlatform makes the template once.
func (s *stage) needPlatform(ctx context.Context) error {
	if s.platform != nil {
		return nil
	}
	files, err := parts.BusyboxTemplate(platformSteps(s.size)...)
	if err != nil {
		return err
	}
	for _, file := range platformFiles() {
		files = append(files, parts.Text(file, "# "+file+"\n"))
	}
	t, err := createTemplate(ctx, s.gitea, platformRepoPrefix)
	if err != nil {
		return err
	}
	p := &platform{template: t, files: files}
	if err := p.release(ctx); err != nil {
		return err
	}
	s.platform = p
	return nil
}

// platformFiles are copied one by one.
func platformFiles() []string {
	return []string{"requirements.txt", "adapter.py", "executor.py", "config.yaml", "prompts.py",
		"tools.py", "start.sh", "drop-priv.sh", "helper.py", "skills.md", "entrypoint.sh"}
}

func platformSteps(size int64) []string {
	small := func(bytes int64, dir string) string {
		return fmt.Sprintf("mkdir -p %s/1 && cd %s && for n in $(seq %d); do "+
			"head -c %d /dev/urandom > 1/$n; done && for n in $(seq 2 %d); do cp -r 1 $n; done",
			dir, dir, smallFiles, smallFile, max(1, bytes/(smallFile*smallFiles)))
	}
	steps := []string{
		`RUN ["/bin/busybox", "--install", "-s", "/bin"]`,
		"RUN mkdir -p /etc /tmp /app /home/agent && echo root:x:0:0::/:/bin/sh > /etc/passwd && " +
			"echo agent:x:1000:1000::/home/agent:/bin/sh >> /etc/passwd && " +
			"chown -R 1000 /app /home/agent",
		"WORKDIR /app",
		"RUN " + small(size*9/10, "/usr/lib/node_modules"),
		"COPY requirements.txt .",
		"ARG RUNTIME_VERSION=",
		`RUN test -n "$RUNTIME_VERSION" && echo "$RUNTIME_VERSION" > /runtime && ` +
			small(size/10, "/usr/lib/runtime"),
	}
	for i, file := range platformFiles()[1:] {
		steps = append(steps, "COPY "+file+" .")
		if i%2 == 0 {
			steps = append(steps, "USER agent", "RUN echo "+file+" > /home/agent/"+file,
				"USER root")
		}
	}
	return append(steps, "RUN chmod +x /app/*.sh", "ENV ADAPTER_MODULE=adapter",
		`ENTRYPOINT ["/app/entrypoint.sh"]`)
}

// release pushes a commit with another version of the runtime, and nothing else.
func (p *platform) release(ctx context.Context) error {
	p.version++
	return p.push(ctx, append(p.files[:len(p.files):len(p.files)],
		parts.Text(".runtime-version", fmt.Sprintf("0.4.%d\n", p.version))))
}

// platformScript is the platform's own way.
const platformScript = `
git clone --quiet --depth 1 "$1" "$2"
version=$(head -n 1 "$2/.runtime-version")
docker build --tag "$3" --build-arg "RUNTIME_VERSION=$version" "$2"
`

// platformRace builds the template on the engine's own builder. before is what comes before each
// turn.
func (a *arena) platformRace(
	ctx context.Context, before func(context.Context) error,
) (race, error) {
	if err := needAll("git", "head", "docker"); err != nil {
		return race{}, err
	}
	if err := a.needPlatform(ctx); err != nil {
		return race{}, err
	}
	clone := filepath.Join(a.dir, "platform")
	ours := a.ofPlatform(a.pinion()).building(before)
	peer := a.script("`git clone --depth 1`, `docker build --build-arg RUNTIME_VERSION=...`",
		platformScript, a.platform.gitURL(), clone, peerTag)
	peer.before = func(ctx context.Context) error {
		return errors.Join(os.RemoveAll(clone), before(ctx))
	}
	return race{ours: ours, peer: peer}, nil
}

// ofPlatform has a contestant ask for the platform's template.
func (a *arena) ofPlatform(c contestant) contestant {
	c.env = append(c.env, "MOLECULE_LOCAL_TEMPLATE_REPO_PREFIX="+a.platform.prefix())
	return c
}

// platformFirst: the engine has nothing.
func platformFirst(ctx context.Context, a *arena) (race, error) {
	r, err := a.platformRace(ctx, a.prune)
	r.ours, r.peer = r.ours.withoutCache(), r.peer.withoutCache()
	return r, err
}

// platformNext: the commit before has been built, and the next one has another runtime.
func platformNext(ctx context.Context, a *arena) (race, error) {
	r, err := a.platformRace(ctx, func(ctx context.Context) error {
		return a.platform.release(ctx)
	})
	r.ours, r.peer = r.ours.usingCache(), r.peer.usingCache()
	return r, err
}

// platformHit: the image is there.
func platformHit(ctx context.Context, a *arena) (race, error) {
	if err := needAll("curl", "sed", "cut", "docker"); err != nil {
		return race{}, err
	}
	if err := a.needPlatform(ctx); err != nil {
		return race{}, err
	}
	ours := a.ofPlatform(a.pinion())
	if _, err := ours.once(ctx); err != nil { // builds what a race before has not
		return race{}, err
	}
	ours.unwanted = []string{built}
	reference := "molecule-local/workspace-template-" + name + ":" + a.platform.revision[:12]
	before, after, _ := strings.Cut(reference, a.platform.revision[:12])
	peer := a.script("script: `curl` the branches API, `docker image inspect`", hitScript,
		a.platform.branchAPI(), before, after)
	peer.want = []string{"sha256:"}
	return race{ours: ours, peer: peer}, nil
}
