package e2e_test

import (
	"encoding/hex"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/test/parts"
	"git.moleculesai.app/molecule-ai/pinion/test/parts/partstest"
)

// The caller's trace and span, in the form of W3C's Trace Context.
const (
	callersTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	callersSpan  = "00f067aa0ba902b7"
	traceparent  = "00-" + callersTrace + "-" + callersSpan + "-01"
)

// tracedScene is a scene whose builder and user send their spans to a collector.
func tracedScene(t *testing.T) (*scene, *parts.Collector) {
	t.Helper()
	c := partstest.Collector(t)
	b := partstest.Buildkitd(t, parts.BuildkitdOptions{Env: []string{
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=" + c.URL() + "/v1/traces",
		"OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", "OTEL_BSP_SCHEDULE_DELAY=100"}})
	s := newScene(t, containerdOwn)
	s.user = s.with("BUILDKIT_HOST", b.Addr(), "PINION_CACHE", "local",
		"OTEL_EXPORTER_OTLP_ENDPOINT", c.URL(), "OTEL_BSP_SCHEDULE_DELAY", "100")
	return s, c
}

// ours returns the paths of Pinion's spans of its own, in alphabetical order, and what the
// collector has of each.
func ours(c *parts.Collector) (paths []string, spans map[string]parts.CollectedSpan) {
	spans = map[string]parts.CollectedSpan{}
	for _, s := range c.Spans() {
		// Clients of the builder and of the engine name theirs after requests.
		if s.Service == "pinion" && !strings.ContainsAny(s.GetName(), "/ ") ||
			s.GetName() == "save cache" {
			path := strings.Join(c.Path(s), " > ")
			paths, spans[path] = append(paths, path), s
		}
	}
	slices.Sort(paths)
	return paths, spans
}

// TestTraces: each station of a build and of a hit is a span below the caller's, and BuildKit's own
// spans are below the solve. A git server gets nothing of it.
func TestTraces(t *testing.T) {
	s, c := tracedScene(t)
	s.prepare(t, "RUN echo traced")
	var passed atomic.Int32
	s.git.SetHook(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Traceparent") != "" {
			passed.Add(1)
		}
		return false
	})
	u := s.with("TRACEPARENT", traceparent)
	img := parseImage(t, u.run(t, "ensure", runtime, "--format", "json"))
	if img.Outcome != pinion.OutcomeBuilt {
		t.Fatalf("got %+v", img)
	}
	want := []string{"ensure", "ensure > build", "ensure > build > adopt",
		"ensure > build > connect", "ensure > build > lock", "ensure > build > queue",
		"ensure > build > record", "ensure > build > save cache", "ensure > build > solve",
		"ensure > build > solve > deliver", "ensure > build > solve > fetch",
		"ensure > build > solve > steps", "ensure > build > verify", "ensure > look-up",
		"ensure > verify"}
	paths, spans := ours(c)
	if !slices.Equal(paths, want) {
		t.Errorf("got %q", paths)
	}
	if root := spans["ensure"]; hex.EncodeToString(root.GetParentSpanId()) != callersSpan {
		t.Errorf("the root's parent is %x", root.GetParentSpanId())
	}
	var theirs []string
	eventually(t, "BuildKit's spans below the solve", func() bool {
		theirs = nil
		for _, span := range c.Spans() {
			if hex.EncodeToString(span.GetTraceId()) != callersTrace {
				t.Fatalf("%s is of the trace %x", span.GetName(), span.GetTraceId())
			}
			if path := c.Path(span); span.Service != "pinion" &&
				slices.Equal(path[:min(3, len(path))], []string{"ensure", "build", "solve"}) {
				theirs = append(theirs, strings.Join(path, " > "))
			}
		}
		return slices.ContainsFunc(theirs, func(path string) bool {
			return strings.Contains(path, "RUN echo traced")
		})
	})
	if n := passed.Load(); n > 0 {
		t.Errorf("the git server got the trace of %d requests", n)
	}

	// A hit, by a server that takes the trace from the request.
	p, server := s.serve(t)
	if r := server.ask(t.Context(), "POST", "/v1/images/"+runtime, "", "Traceparent",
		strings.Replace(traceparent, callersTrace, strings.Repeat("c", 32), 1)); r.status != 200 {
		t.Fatal(r)
	}
	if err := p.Process.Signal(os.Interrupt); err != nil || p.wait(t) != 0 {
		t.Fatal(err, p.stderr)
	}
	var hit []string
	for _, span := range c.Spans() {
		if hex.EncodeToString(span.GetTraceId()) == strings.Repeat("c", 32) {
			hit = append(hit, strings.Join(c.Path(span), " > "))
		}
	}
	if !slices.Contains(hit, "ensure") || !slices.Contains(hit, "ensure > verify") ||
		!slices.Contains(hit, "ensure > look-up") {
		t.Errorf("a hit has %q", hit)
	}

	// Without the variables nothing is sent.
	before := len(c.Spans())
	quiet := s.with("OTEL_EXPORTER_OTLP_ENDPOINT", "", "TRACEPARENT", traceparent)
	s.reset()
	quiet.run(t, "ensure", runtime)
	if n := len(c.Spans()) - before; n > 0 {
		t.Errorf("%d spans", n)
	}
	s.wantHitTraffic(t)
}

// TestTracesOfAnEngine: spans of the engine and of its own BuildKit are below those of a build, a
// push and a pull.
func TestTracesOfAnEngine(t *testing.T) {
	c := partstest.Collector(t)
	engine := partstest.Dockerd(t, parts.Docker29Containerd, parts.WithDaemonEnv(
		"OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL(), "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
		"OTEL_BSP_SCHEDULE_DELAY=100"))
	s := newSceneOn(t, engine.Host())
	s.user = s.with("OTEL_EXPORTER_OTLP_ENDPOINT", c.URL(), "OTEL_BSP_SCHEDULE_DELAY", "100",
		"TRACEPARENT", traceparent)
	prefix := partstest.Registry(t, parts.RegistryOptions{}).Host() + "/" + s.prefix + "team"
	s.prepare(t, "RUN echo traced")
	theirs := func(below, name string) {
		t.Helper()
		eventually(t, name+" below "+below, func() bool {
			return slices.ContainsFunc(c.Spans(), func(span parts.CollectedSpan) bool {
				return span.Service == "dockerd" && strings.Contains(span.GetName(), name) &&
					strings.HasPrefix(strings.Join(c.Path(span), " > "), below+" > ")
			})
		})
	}

	img := parseImage(t, s.run(t, "ensure", runtime, "--push", "--registry", prefix, "--format",
		"json"))
	paths, spans := ours(c)
	if n := len(slices.DeleteFunc(paths, func(p string) bool { return p != "ensure > push" })); n !=
		len(img.Pushed) || n != 2 {
		t.Errorf("%d spans of %d pushes", n, len(img.Pushed))
	}
	if got := attribute(spans["ensure > push"], "pinion.reference"); got !=
		img.Pushed[1].Reference {
		t.Errorf("the last push is of %q", got)
	}
	theirs("ensure > build > solve > steps", "RUN echo traced")
	theirs("ensure > push", "POST")

	puller := s.with("MOLECULE_IMAGE_REGISTRY", prefix, "BUILDKIT_HOST", "unix:///nowhere")
	img = parseImage(t, puller.run(t, "ensure", runtime, "--format", "json"))
	if img.Outcome != pinion.OutcomePulled {
		t.Fatalf("got %+v", img)
	}
	_, spans = ours(c)
	if got := attribute(spans["ensure > build > pull"], "pinion.reference"); got != img.Reference {
		t.Errorf("the pull is of %q", got)
	}
	theirs("ensure > build > pull", "POST")
}

// attribute returns a text of a span, "" if it has none of that name.
func attribute(s parts.CollectedSpan, name string) string {
	for _, a := range s.GetAttributes() {
		if a.GetKey() == name {
			return a.GetValue().GetStringValue()
		}
	}
	return ""
}
