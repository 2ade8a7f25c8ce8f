package buildkit

import (
	"errors"
	"fmt"
	"testing"

	gatewaypb "github.com/moby/buildkit/frontend/gateway/pb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TestFaultOf has texts of BuildKit 0.34 and of Docker 20.10, which has BuildKit 0.8.
func TestFaultOf(t *testing.T) {
	plain := func(text string) error { return errors.New(text) }
	typed := func(code uint32, text string) error {
		return fmt.Errorf("failed to solve: process \"/bin/sh -c x\" did not complete "+
			"successfully: %w", &gatewaypb.ExitError{ExitCode: code, Err: errors.New(text)})
	}
	gitSays := func(text string) error {
		return plain("failed to load cache key: error fetching default branch for repository " +
			"http://h.example/r.git: git stderr:\n" + text + "\n: exit status 128")
	}
	const (
		metadata = "[internal] load metadata for docker.io/library/x:1"
		from     = "[1/2] FROM docker.io/library/x:1@sha256:aa"
		add      = "[2/2] ADD http://h.example/f /"
		addGit   = "[2/2] ADD http://h.example/r.git /"
		run      = "[2/2] RUN connect"
	)
	for _, c := range []struct {
		name, vertex string
		err          error
		want         error
	}{
		{"exit code", run, typed(7, "exit code: 7"), ErrBuild},
		{"exit code of 20.10", run, plain("executor failed running [/bin/sh -c x]: exit code: 7"),
			ErrBuild},
		{"killed by itself", run, typed(137, "exit code: 137"), ErrBuild},
		{"killed for memory", run, typed(137, "x: cannot allocate memory"), ErrExhausted},
		{"killed on 20.10", run, plain("executor failed running [/bin/sh]: exit code: 137"),
			ErrExhausted},
		{"no shell", run, plain("runc run failed: exec: \"/bin/sh\": connection refused"),
			ErrBuild},
		{"disk full", from, plain("failed to copy: write /x: no space left on device"),
			ErrExhausted},
		{"disk full, by the template's words", "",
			plain("dockerfile parse error: unknown instruction: no space left on device"),
			ErrBuild},
		{"cancelled by the builder", "", status.Error(codes.Canceled, "context canceled"),
			ErrNoBuilder},
		{"registry down", metadata, plain("failed to resolve source metadata for x: unexpected " +
			"status from HEAD request to http://r.example/v2/x/manifests/1: 503 Service " +
			"Unavailable"), ErrSource},
		{"registry down, by its own words", metadata,
			plain("failed to resolve source metadata for x: unavailable: down for maintenance"),
			ErrSource},
		{"too many requests", from, plain("failed to copy: httpReadSeeker: failed open: " +
			"unexpected status code https://r.example: 429 Too Many Requests"), ErrSource},
		{"refused", metadata, plain("failed to do request: Head \"http://127.0.0.1:1/v2/x\": dial" +
			" tcp 127.0.0.1:1: connect: connection refused"), ErrSource},
		{"no such host", "resolve image config for docker-image://r.example/fe:1",
			plain("dial tcp: lookup r.example: no such host"), ErrSource},
		{"image of an old kind", metadata, plain("failed to resolve source metadata for x: not " +
			"implemented: media type \"application/vnd.docker.distribution.manifest.v1+prettyjws" +
			"\" is no longer supported since containerd v2.0"), ErrBuild},
		{"image of an older kind", metadata, plain("failed to resolve source metadata for x: " +
			"support Docker Image manifest version 2, schema 1 has been removed. More information" +
			" at https://docs.docker.com/go/deprecated-image-specs/"), ErrBuild},
		{"no image but a chart", metadata, plain("failed to resolve source metadata for x: " +
			"encountered unknown type application/vnd.cncf.helm.config.v1+json; children may not " +
			"be fetched"), ErrBuild},
		{"image that was taken away", metadata, plain("unexpected status from HEAD request to " +
			"http://r.example/v2/x/manifests/1: 410 Gone"), ErrBuild},
		{"image that is forbidden by law", metadata, plain("unexpected status from HEAD request " +
			"to http://r.example/v2/x/manifests/1: 451 Unavailable For Legal Reasons"), ErrBuild},
		{"no such image", metadata, plain("docker.io/library/x:1: not found"), ErrBuild},
		{"no such stage", metadata, plain("docker.io/library/buidl:latest: not found (did you " +
			"mean build?)"), ErrBuild},
		{"private image", metadata, plain("pull access denied, repository does not exist or may " +
			"require authorization: server message: insufficient_scope: authorization failed"),
			ErrBuild},
		{"other platform", metadata, plain("no match for platform in manifest: not found"),
			ErrBuild},
		{"file server down", add, plain("failed to load cache key: invalid response status 503"),
			ErrSource},
		{"file server without the file", add,
			plain("failed to load cache key: invalid response status 404"), ErrBuild},
		{"file server without a good certificate", add, plain("Get \"https://h.example/f\": tls: " +
			"failed to verify certificate: x509: certificate signed by unknown authority"),
			ErrSource},
		{"git server down", addGit, gitSays("fatal: unable to access 'http://h.example/r.git/': " +
			"The requested URL returned error: 503"), ErrSource},
		{"git server that refuses", addGit, gitSays("fatal: unable to access " +
			"'http://h.example/r.git/': Failed to connect to h.example port 80 after 0 ms: " +
			"Couldn't connect to server"), ErrSource},
		{"git server without a name", addGit, gitSays("fatal: unable to access " +
			"'http://h.example/r.git/': Could not resolve host: h.example"), ErrSource},
		{"git server without a good certificate", addGit, gitSays("fatal: unable to access " +
			"'https://h.example/r.git/': server certificate verification failed. CAfile: none " +
			"CRLfile: none"), ErrSource},
		{"git server without the repository", addGit,
			gitSays("fatal: repository 'http://h.example/r.git/' not found"), ErrBuild},
		{"private repository", addGit, gitSays("fatal: could not read Username for " +
			"'http://h.example': terminal prompts disabled"), ErrBuild},
		{"file with git's words as its name", "[2/2] COPY x /", plain("failed to calculate " +
			"checksum of ref a::b: \"/Failed to connect to \": not found"), ErrBuild},
		{"layer that a registry does not give, at a RUN", run, plain("failed to compute cache " +
			"key: failed to copy: httpReadSeeker: failed open: unexpected status from GET " +
			"request to http://r.example/v2/x/blobs/sha256:aa: 503 Service Unavailable"),
			ErrSource},
		{"layer that ends early, at a RUN", run, plain("failed to compute cache key: short read: " +
			"expected 2526 bytes but got 0: unexpected EOF"), ErrSource},
		{"layer after the last step", "", plain("failed to copy: httpReadSeeker: failed open: " +
			"failed to do request: Get \"http://r.example/v2/x/blobs/sha256:aa\": EOF"), ErrSource},
		{"layer that may not be read", run, plain("failed to copy: httpReadSeeker: failed open: " +
			"unexpected status from GET request to http://r.example/v2/x/blobs/sha256:aa: 403 " +
			"Forbidden"), ErrBuild},
		{"layer that a registry has lost", run, plain("failed to copy: httpReadSeeker: failed " +
			"open: could not fetch content descriptor sha256:aa (x) from remote: not found"),
			ErrBuild},
		{"page for a manifest", metadata, plain("failed to copy: httpReadSeeker: failed open: " +
			"could not fetch content descriptor sha256:aa (text/html) from remote: not found"),
			ErrSource},
		{"file server in another protocol", add, plain("failed to load cache key: Get " +
			"\"http://h.example/f\": net/http: HTTP/1.x transport connection broken: malformed " +
			"HTTP response \"SSH-2.0\""), ErrSource},
		{"file server that is slow", add, plain("failed to load cache key: invalid response " +
			"status 408"), ErrSource},
		{"redirects in a circle", add, plain("failed to load cache key: Get " +
			"\"http://h.example/f\": stopped after 10 redirects"), ErrSource},
		{"proxy that refuses", add, plain("failed to load cache key: Get " +
			"\"https://h.example/f\": Bad Gateway"), ErrSource},
		{"name server that is away", add, plain("failed to load cache key: Get " +
			"\"https://h.example/f\": dial tcp: lookup h.example: Temporary failure in name " +
			"resolution"), ErrSource},
		{"git server in another protocol", addGit, gitSays("fatal: unable to access " +
			"'http://h.example/r.git/': Received HTTP/0.9 when not allowed"), ErrSource},
		{"git server behind a proxy that refuses", addGit, gitSays("fatal: unable to access " +
			"'https://h.example/r.git/': Received HTTP code 502 from proxy after CONNECT"),
			ErrSource},
		{"git on a full disk", addGit, gitSays("fatal: write error: No space left on device"),
			ErrExhausted},
		{"missing file", "[2/2] COPY nope /", plain("failed to calculate checksum of ref a::b: " +
			"\"/nope\": not found"), ErrBuild},
		{"syntax", "", plain("dockerfile parse error on line 2: unknown instruction: BOGUS"),
			ErrBuild},
	} {
		if got := faultOf(c.vertex, c.err); !errors.Is(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestSaysExhausted has the last lines of steps that failed.
func TestSaysExhausted(t *testing.T) {
	for _, c := range []struct {
		line string
		code int
		want bool
	}{
		{"tar: x: Cannot write: No space left on device", 2, true},
		{"OSError: [Errno 28] No space left on device: '/x'", 1, true},
		{"sh: can't fork: Cannot allocate memory", 2, true},
		{"g++: fatal error: Killed signal terminated program cc1plus", 2, true},
		{"Killed", killed, true},
		{"/bin/bash: line 1:     7 Killed                  tail /dev/zero", killed, true},
		{"Killed", 1, false},
		{"Killed the server", 1, false},
		{"make: *** No rule to make target", 2, false},
		{"No space left on device", 0, false}, // no process ran
	} {
		step := &StepError{ExitCode: c.code, Log: []string{"before", c.line, "behind"}}
		if got := saysExhausted(step); got != c.want {
			t.Errorf("%q, %d: %t", c.line, c.code, got)
		}
	}
	long := &StepError{ExitCode: 1, Log: append([]string{"No space left on device"},
		make([]string, 10)...)}
	if saysExhausted(long) {
		t.Error("a line that was printed long before counts")
	}
}
