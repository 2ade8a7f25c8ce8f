package buildkit_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

func TestLFSInAFolder(t *testing.T)       { onBuilders(t, lfsInAFolder) }
func TestLFSOnRequest(t *testing.T)       { onBuilders(t, lfsOnRequest) }
func TestLFSOfSubmodules(t *testing.T)    { onBuilders(t, lfsOfSubmodules) }
func TestFault68_LFSObjects(t *testing.T) { onBuilders(t, lfsFailures) }

// objects is an LFS server in this process.
type objects struct {
	mu      sync.Mutex
	content map[string][]byte
	asked   []string // repository and object
	opened  int
	// fails is called before an object is opened.
	fails func(n int) error
}

func newObjects(contents ...[]byte) *objects {
	o := &objects{content: map[string][]byte{}}
	for _, c := range contents {
		o.content[oid(c)] = c
	}
	return o
}

func oid(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

func (o *objects) locate(
	_ context.Context, remote git.Remote, pointers []git.LFSPointer,
) (git.LFSObjects, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	found := git.LFSObjects{}
	for _, p := range pointers {
		o.asked = append(o.asked, remote.Path()+" "+p.OID)
		if content, ok := o.content[p.OID]; ok {
			found[p] = func(context.Context) (io.ReadCloser, error) { return o.open(content) }
		}
	}
	return found, nil
}

func (o *objects) open(content []byte) (io.ReadCloser, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.opened++
	if o.fails != nil {
		if err := o.fails(o.opened); err != nil {
			return nil, err
		}
	}
	return io.NopCloser(bytes.NewReader(content)), nil
}

// lfsInAFolder: attributes that apply to the context give a warning.
func lfsInAFolder(t *testing.T, b *bench) {
	attributes := "*.bin filter=lfs diff=lfs merge=lfs -text\n"
	for name, c := range map[string]struct {
		path, subdir string
		warns        bool
	}{
		"root":            {".gitattributes", "", true},
		"folder":          {"models/big/.gitattributes", "", true},
		"ignored folder":  {"docs/.gitattributes", "", false},
		"above subdir":    {".gitattributes", "sub", true},
		"beside a subdir": {"models/.gitattributes", "sub", false},
	} {
		dockerfile := "FROM scratch\nCOPY f /\n"
		req := b.template(t, "lfs", parts.Text("Dockerfile", dockerfile), parts.Text("f", name),
			parts.Text("sub/Dockerfile", dockerfile), parts.Text("sub/f", name),
			parts.Text(".dockerignore", "docs\n"), parts.Text(c.path, attributes))
		req.Subdir = c.subdir
		res, _ := mustSolve(t, b, req)
		if warns := strings.Contains(strings.Join(res.Warnings, " "), "Git LFS"); warns != c.warns {
			t.Errorf("%s: warnings %q", name, res.Warnings)
		}
	}
}

// lfsOnRequest: the files are in the context in the place of their pointers, with the modes of
// those, whatever else makes the context a copy. Caches go by the content.
func lfsOnRequest(t *testing.T, b *bench) {
	model := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	tool, left, beside := []byte("#!/bin/sh\necho tool\n"), []byte("left"), []byte("beside")
	program := parts.LFSPointer("ctx/bin/tool", tool)
	program.Mode = parts.Executable
	files := []parts.File{parts.Text("ctx/plain.bin", "short"), program,
		parts.LFSPointer("ctx/deep/er/model.bin", model), parts.LFSPointer("ctx/same.bin", model),
		parts.LFSPointer("ctx/fixture", model), parts.LFSPointer("ctx/docs/left.bin", left),
		parts.LFSPointer("ctx/docs/kept.bin", tool), parts.LFSPointer("ctx/own/no.bin", model),
		parts.Text("ctx/own/.gitattributes", "* -filter\n"), parts.Link("ctx/link.bin", "same.bin")}
	sums := "RUN cd /ctx && find . -type f | sort | while read f; do " +
		"echo $(sha256sum $f) $(stat -c %a $f); done; : "
	for name, c := range map[string]struct{ ignore, subdir string }{
		"whole":         {},
		"ignore":        {ignore: "ctx/docs\n!ctx/docs/kept.bin\n"},
		"subdir":        {subdir: "sub/dir"},
		"both":          {subdir: "sub", ignore: "ctx/docs/*\n!ctx/docs/kept.bin\n"},
		"other ignored": {ignore: "nothing\n"},
	} {
		repo := "lfs-" + strings.ReplaceAll(name, " ", "-")
		push := func(more ...parts.File) buildkit.Request {
			all := slices.Concat(partstest.BusyboxTemplate(t, "COPY ctx /ctx", sums+name),
				files, more)
			if c.ignore != "" {
				all = append(all, parts.Text(".dockerignore", c.ignore))
			}
			for i := range all {
				all[i].Path = path.Join(c.subdir, all[i].Path)
			}
			req := b.template(t, repo, append(all, parts.LFSPointer("beside.bin", beside),
				parts.Text(".gitattributes", parts.LFSAttributes("*.bin")+
					path.Join(c.subdir, "ctx/bin/*")+" filter=lfs\n"))...)
			req.Subdir = c.subdir
			return req
		}
		server := newObjects(model, tool, left, beside)
		req := push()
		req.LFS = server.locate
		res, out := mustSolve(t, b, req)
		pointer := oid(parts.LFSPointer("", model).Data)
		want := []string{oid(model) + " ./deep/er/model.bin 644", oid(model) + " ./same.bin 644",
			oid(tool) + " ./bin/tool 755", oid(tool) + " ./docs/kept.bin 644",
			oid([]byte("short")) + " ./plain.bin 644", pointer + " ./fixture 644",
			pointer + " ./own/no.bin 644"}
		hasLeft := !strings.Contains(c.ignore, "docs")
		if hasLeft {
			want = append(want, oid(left)+" ./docs/left.bin 644")
		}
		for _, line := range want {
			if !strings.Contains(out, line) {
				t.Errorf("%s: not in the context: %s\n%s", name, line, out)
			}
		}
		asked := func(content []byte) bool {
			return slices.Contains(server.asked, repo+" "+oid(content))
		}
		if len(res.Warnings) > 0 || asked(left) != hasLeft || asked(beside) != (c.subdir == "") {
			t.Errorf("%s: warnings %q, asked for %q", name, res.Warnings, server.asked)
		}
		again := push(parts.Text("another", name))
		again.LFS = server.locate
		if _, out := mustSolve(t, b, again); strings.Contains(out, "model.bin 644") {
			t.Errorf("%s: the step ran again:\n%s", name, out)
		}
	}
}

// lfsOfSubmodules: each repository is asked for its own objects, by its own attributes.
func lfsOfSubmodules(t *testing.T, b *bench) {
	inner, outer := []byte("inner"), []byte("outer")
	module := b.template(t, "lfsmodule",
		parts.Text(".gitattributes", parts.LFSAttributes("/a.bin")),
		parts.LFSPointer("a.bin", inner), parts.LFSPointer("b.dat", inner))
	req := b.busybox(t, "lfsouter", []string{"COPY . /ctx",
		"RUN cat /ctx/o.dat /ctx/mod/a.bin /ctx/mod/b.dat"},
		parts.Text(".gitattributes", parts.LFSAttributes("*.dat")),
		parts.LFSPointer("o.dat", outer),
		parts.Text(".gitmodules", "[submodule \"mod\"]\n\tpath = mod\n\turl = ../lfsmodule.git\n"),
		parts.Submodule("mod", module.Revision.String()))
	server := newObjects(inner, outer)
	req.Submodules, req.LFS = []string{req.Remote.Host()}, server.locate
	_, out := mustSolve(t, b, req)
	if !strings.Contains(out, "outerinnerversion https") {
		t.Errorf("the build printed\n%s", out)
	}
	slices.Sort(server.asked)
	want := []string{"lfsmodule " + oid(inner), "lfsouter " + oid(outer)}
	if !slices.Equal(server.asked, want) {
		t.Errorf("asked for %q", server.asked)
	}
}

// lfsFailures: nothing is built with another content than that of a pointer.
func lfsFailures(t *testing.T, b *bench) {
	content := []byte("right")
	serve := func(sent string) *objects {
		return &objects{content: map[string][]byte{oid(content): []byte(sent)}}
	}
	unavailable := fmt.Errorf("storage %w", errdef.ErrUnavailable)
	late := serve("right")
	late.fails = func(n int) error {
		if n == 1 {
			return unavailable
		}
		return nil
	}
	denied := serve("right")
	denied.fails = func(int) error { return errdef.ErrUnauthorized }
	for name, c := range map[string]struct {
		server *objects
		kind   error
		says   string
	}{
		"wrong": {serve("wrong"), buildkit.ErrLFS,
			`"sub/f.bin": the LFS server sent another content`},
		"short":   {serve("righ"), buildkit.ErrLFS, "sub/f.bin"},
		"long":    {serve("right and more"), buildkit.ErrLFS, "sub/f.bin"},
		"empty":   {serve(""), buildkit.ErrLFS, "sub/f.bin"},
		"missing": {newObjects(), buildkit.ErrRefused, `"sub/f.bin" is a pointer of Git LFS`},
		"denied":  {denied, errdef.ErrUnauthorized, "sub/f.bin"},
		"late":    {late, nil, ""},
		"right":   {serve("right"), nil, ""},
	} {
		req := b.busybox(t, "lfsfails",
			[]string{"COPY sub /sub", "RUN cat /sub/f.bin; echo " + name},
			parts.Text(".gitattributes", parts.LFSAttributes("*.bin")),
			parts.Text(".lfsconfig", ""), parts.LFSPointer("sub/f.bin", content))
		req.LFS = c.server.locate
		_, out, err := solve(t, b, req)
		if c.kind == nil {
			if err != nil || !strings.Contains(out, "right") {
				t.Errorf("%s: %v\n%s", name, err, out)
			}
			continue
		}
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) ||
			strings.Contains(out, "RUN") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if name == "missing" && !strings.Contains(err.Error(), ".lfsconfig") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
