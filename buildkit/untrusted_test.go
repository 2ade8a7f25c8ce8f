package buildkit

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/client/llb"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/session/secrets/secretsprovider"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/apicaps"
)

// frontendOf is a builder with one frontend, which gives the graph of a step for its options.
type frontendOf struct {
	gateway.Client // nil; no other methods are used
	step           func(opts map[string]string) (llb.State, error)
	solves         int
}

func (f *frontendOf) BuildOpts() gateway.BuildOpts {
	caps := pb.Caps.CapSet(pb.Caps.All())
	return gateway.BuildOpts{LLBCaps: caps, Caps: apicaps.CapSet{}}
}

func (f *frontendOf) Solve(
	_ context.Context, req gateway.SolveRequest,
) (*gateway.Result, error) {
	f.solves++
	st, err := f.step(req.FrontendOpt)
	res := gateway.NewResult()
	res.SetRef(&graphRef{state: st, err: err})
	return res, nil
}

// graphRef gives a graph and nothing else.
type graphRef struct {
	gateway.Reference // nil; no other methods are used
	state             llb.State
	err               error
}

func (r *graphRef) ToState() (llb.State, error) { return r.state, r.err }

func TestFault70_StepsWithCacheMountsAreApart(t *testing.T) {
	const scope = "pull-0123456789ab"
	// run is what Dockerfile frontends make of a step with a cache mount. An old one knows fewer
	// options.
	run := func(opts map[string]string, knows ...string) llb.State {
		namespace, host := "", ""
		for _, k := range knows {
			switch k {
			case optCacheNamespace:
				namespace = opts[k]
			case optHosts:
				host, _, _ = strings.Cut(opts[k], "=")
			}
		}
		step := []llb.RunOption{llb.Shlex("true"), llb.AddMount("/c", llb.Scratch(),
			llb.AsPersistentCacheDir(namespace+"//c", llb.CacheMountShared))}
		if host != "" {
			step = append(step, llb.AddExtraHost(host, net.IPv4(127, 0, 0, 1)))
		}
		return llb.Scratch().Run(step...).Root()
	}
	for name, c := range map[string]struct {
		step    func(opts map[string]string) (llb.State, error)
		solves  int
		refused bool
	}{
		"no mounts": {func(map[string]string) (llb.State, error) {
			return llb.Scratch().Run(llb.Shlex("true")).Root(), nil
		}, 1, false},
		"mounts": {func(opts map[string]string) (llb.State, error) {
			return run(opts, optCacheNamespace, optHosts), nil
		}, 2, false},
		"a frontend without namespaces": {func(opts map[string]string) (llb.State, error) {
			return run(opts, optHosts), nil
		}, 2, true},
		"a frontend without hosts": {func(opts map[string]string) (llb.State, error) {
			return run(opts, optCacheNamespace), nil
		}, 2, true},
		"no graph": {func(map[string]string) (llb.State, error) {
			return llb.State{}, errors.New("the builder does not show it")
		}, 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := &frontendOf{step: c.step}
			s := &solve{req: Request{CacheScope: scope}}
			_, err := s.runFrontend(t.Context(), f,
				gateway.SolveRequest{FrontendOpt: map[string]string{}})
			if f.solves != c.solves || errors.Is(err, ErrRefused) != c.refused ||
				err != nil != c.refused {
				t.Errorf("after %d solves: %v", f.solves, err)
			}
			opts := map[string]string{}
			f, s = &frontendOf{step: c.step}, &solve{}
			if _, err := s.runFrontend(t.Context(), f, gateway.SolveRequest{
				FrontendOpt: opts}); err != nil || f.solves != 1 || len(opts) != 0 {
				t.Errorf("without a scope: %d solves with %v, %v", f.solves, opts, err)
			}
		})
	}
}

func TestFault72_WhatAnAnonymousBuildGets(t *testing.T) {
	proxies := map[string]string{"HTTP_PROXY": "http://proxy:3128",
		"HTTPS_PROXY": "http://user:secret@proxy:3128", "FTP_PROXY": "user:secret@proxy",
		"NO_PROXY": "localhost,.example"}
	for anonymous, want := range map[bool]int{false: 4, true: 2} {
		s := &solve{builder: &Builder{proxies: proxies}, req: Request{Anonymous: anonymous}}
		_, opts := s.frontendOpts(&inspection{})
		n := 0
		for k, v := range opts {
			if strings.HasPrefix(k, "build-arg:") {
				n++
				if anonymous && strings.Contains(v, "secret") {
					t.Errorf("%s is %s", k, v)
				}
			}
		}
		if n != want {
			t.Errorf("anonymous %t: %v", anonymous, opts)
		}
	}
	with := &Builder{registry: secretsprovider.FromMap(nil)}
	for anonymous, want := range map[bool]int{false: 2, true: 1} {
		s := &solve{builder: with, req: Request{Anonymous: anonymous}, gate: newGate(Request{})}
		if got := len(s.options(client.ExportEntry{}).Session); got != want {
			t.Errorf("anonymous %t: the session has %d parts", anonymous, got)
		}
	}
}
