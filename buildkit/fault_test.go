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
		{"no such image", metadata, plain("docker.io/library/x:1: not found"), ErrBuild},
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
