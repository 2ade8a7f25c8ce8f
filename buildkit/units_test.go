package buildkit

import (
	"errors"
	"strings"
	"testing"

	"github.com/moby/buildkit/session/secrets"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

func TestFault41_NoDigestNoImage(t *testing.T) {
	for _, c := range []struct {
		exported map[string]string
		ok       bool
	}{
		{nil, false},
		{map[string]string{"image.name": "x"}, false},
		{map[string]string{"containerimage.digest": "sha256:m"}, true},
		{map[string]string{"containerimage.config.digest": "sha256:c"}, true},
	} {
		var r Result
		if err := r.identify(c.exported); (err == nil) != c.ok || !c.ok &&
			!errors.Is(err, ErrDelivery) {
			t.Errorf("%v: %v", c.exported, err)
		}
	}
}

func TestTheGateAnswersHostsUntilItCloses(t *testing.T) {
	remote, err := git.ParseRemote("https://git.example:8443/o/r")
	if err != nil {
		t.Fatal(err)
	}
	g := newGate(Request{Remote: remote, Token: "s3cret"})
	const name = "GIT_AUTH_TOKEN.git.example:8443"
	if got, err := g.GetSecret(t.Context(), name); err != nil || string(got) != "s3cret" {
		t.Errorf("open: %q, %v", got, err)
	}
	for _, other := range []string{"GIT_AUTH_TOKEN", "GIT_AUTH_HEADER",
		"GIT_AUTH_TOKEN.git.example", "GIT_AUTH_TOKEN.other.example:8443", ""} {
		if _, err := g.GetSecret(t.Context(), other); !errors.Is(err, secrets.ErrNotFound) {
			t.Errorf("%s is answered: %v", other, err)
		}
	}
	g.close()
	if _, err := g.GetSecret(t.Context(), name); !errors.Is(err, secrets.ErrNotFound) {
		t.Errorf("closed, it is answered: %v", err)
	}
	if _, err := newGate(Request{Remote: remote}).GetSecret(
		t.Context(), name,
	); !errors.Is(err, secrets.ErrNotFound) {
		t.Errorf("an empty token is given: %v", err)
	}
	g = newGate(Request{Remote: remote, Token: "s3cret", AuthHeader: "Basic eA=="})
	if got, err := g.GetSecret(t.Context(), "GIT_AUTH_HEADER.git.example:8443"); err != nil ||
		string(got) != "Basic eA==" {
		t.Errorf("with a user name: %q, %v", got, err)
	}
	if _, err := g.GetSecret(t.Context(), name); !errors.Is(err, secrets.ErrNotFound) {
		t.Errorf("the token is given without its user name: %v", err)
	}
	other, err := git.ParseRemote("https://other.example/o/r")
	if err != nil {
		t.Fatal(err)
	}
	g.admit(Access{Remote: other, Token: "theirs"})
	const theirs = "GIT_AUTH_TOKEN.other.example"
	if got, err := g.GetSecret(t.Context(), theirs); err != nil || string(got) != "theirs" {
		t.Errorf("of a submodule's host: %q, %v", got, err)
	}
	g.close()
	g.admit(Access{Remote: other, Token: "theirs"})
	if _, err := g.GetSecret(t.Context(), theirs); !errors.Is(err, secrets.ErrNotFound) {
		t.Errorf("closed, it takes a credential: %v", err)
	}
}

func TestFault54_TheFrontendIsChosenOnceAndByUs(t *testing.T) {
	pinned := "docker.io/docker/dockerfile@sha256:" + strings.Repeat("a", 64)
	for _, c := range []struct {
		dockerfile, frontend, source string
		allowed                      []string
		refused                      bool
	}{
		{dockerfile: "FROM scratch\n", frontend: "dockerfile.v0"},
		{dockerfile: "# syntax=docker/dockerfile:1\nFROM scratch\n", frontend: "gateway.v0",
			source: "docker/dockerfile:1"},
		{dockerfile: "# syntax=" + pinned + "\n", frontend: "gateway.v0", source: pinned},
		{dockerfile: "# syntax=docker/dockerfile-upstream:master\n", refused: true},
		{dockerfile: "# syntax=evil/dockerfile\n", refused: true},
		{dockerfile: "# syntax=mine.example/fe:2\n", refused: true},
		{dockerfile: "# syntax=mine.example/fe:2\n", allowed: []string{"mine.example/fe"},
			frontend: "gateway.v0", source: "mine.example/fe:2"},
		{dockerfile: "# syntax=..\n", refused: true},
	} {
		in := &inspection{}
		err := in.chooseFrontend([]byte(c.dockerfile), c.allowed)
		if c.refused {
			if !errors.Is(err, ErrRefused) {
				t.Errorf("%q: error is %v", c.dockerfile, err)
			}
			continue
		}
		frontend, opts := (&solve{builder: &Builder{}}).frontendOpts(in)
		_, decided := opts["cmdline"]
		if err != nil || frontend != c.frontend || opts["source"] != c.source || !decided {
			t.Errorf("%q: %s from %q, decided %t, %v",
				c.dockerfile, frontend, opts["source"], decided, err)
		}
	}
}

func TestFault56_Floors(t *testing.T) {
	for _, c := range []struct {
		info Info
		good bool
	}{
		{Info{Kind: KindBuildkitd, Version: "v0.34.2"}, true},
		{Info{Kind: KindBuildkitd, Version: "v0.31.2"}, true},
		{Info{Kind: KindBuildkitd, Version: "v0.31.1"}, false},
		{Info{Kind: KindBuildkitd, Version: "v0.9.3"}, false},
		{Info{Kind: KindBuildkitd, Version: ""}, false},
		{Info{Kind: KindDocker, Version: "v0.11.6", Engine: "29.0.0-rc.1"}, true},
		{Info{Kind: KindDocker, Version: "20.10.24+dfsg1", Engine: "20.10.24+dfsg1"}, false},
		{Info{Kind: KindDocker, Engine: "dev"}, false},
	} {
		if advice := Floor(c.info); (advice == "") != c.good {
			t.Errorf("%+v: %q", c.info, advice)
		}
	}
}

func TestLineOf(t *testing.T) {
	const dockerfile = "FROM scratch AS one\nRUN make \\\n  all\n\nFROM scratch\nRUN twice\nRUN " +
		"twice\nCOPY a b\n"
	for vertex, want := range map[string]int{
		"[one 2/2] RUN make   all": 2, "[stage-1 4/4] COPY a b": 8, "[stage-1 2/4] RUN twice": 0,
		"[internal] load metadata": 0, "fetch x": 0, "": 0,
	} {
		if got := lineOf([]byte(dockerfile), vertex); got != want {
			t.Errorf("%q is on line %d, not %d", vertex, got, want)
		}
	}
}
