package resolver

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// listed answers discovery in version 0 with these refs, the first with the capabilities.
func listed(capabilities string, lines ...string) http.HandlerFunc {
	lines[0] += "\x00" + capabilities
	return advertises(lines...)
}

// refuses is how git of version 0 answers a command of version 2: by nothing.
func refuses() http.HandlerFunc { return result("") }

func TestOldProtocol(t *testing.T) {
	const caps = "multi_ack symref=HEAD:refs/heads/main agent=git/1.8"
	zero := strings.Repeat("0", 40)
	for name, c := range map[string]struct {
		info http.HandlerFunc
		ref  git.Ref
		sha  string
		on   string // the branch or tag
		err  error
	}{
		"HEAD": {listed(caps, shaA+" HEAD", shaA+" refs/heads/main"), git.HEAD, shaA,
			"refs/heads/main", nil},
		"version 1": {advertises("version 1", shaA+" HEAD\x00"+caps), git.HEAD, shaA,
			"refs/heads/main", nil},
		"without the service": {answer(200, advertiseType, pkt(shaA+" HEAD\x00"+caps)+"0000"),
			git.HEAD, shaA, "refs/heads/main", nil},
		"several symrefs": {listed("symref=refs/x:refs/heads/x symref=HEAD:refs/heads/dev",
			shaA+" HEAD"), git.HEAD, shaA, "refs/heads/dev", nil},
		"detached HEAD": {listed("ofs-delta", shaA+" HEAD"), git.HEAD, shaA, "HEAD", nil},
		"HEAD outside the branches": {listed("symref=HEAD:refs/meta/config", shaA+" HEAD"),
			git.HEAD, shaA, "HEAD", nil},
		"a branch": {listed(caps, shaB+" HEAD", shaB+" refs/heads/main",
			shaB+" refs/heads/main2", shaA+" refs/heads/other"), mustBranch(t, "other"), shaA,
			"refs/heads/other", nil},
		"a longer name": {listed(caps, shaB+" HEAD", shaB+" refs/heads/main2"),
			mustBranch(t, "main"), "", "", ErrNotFound},
		"an annotated tag": {listed(caps, shaB+" HEAD", shaB+" refs/tags/v1",
			shaA+" refs/tags/v1^{}"), mustTag(t, "v1"), shaA, "refs/tags/v1", nil},
		"a light tag": {listed(caps, shaB+" HEAD", shaA+" refs/tags/v1",
			shaB+" refs/tags/v2", shaB+" refs/tags/v1^{}"), mustTag(t, "v1"), shaA,
			"refs/tags/v1", nil},
		"sha256": {listed(caps+" object-format=sha256", sha256+" HEAD"), git.HEAD, sha256,
			"refs/heads/main", nil},
		"shallow": {listed(caps, shaA+" HEAD", "shallow "+shaB), git.HEAD, shaA,
			"refs/heads/main", nil},
		"empty": {listed(caps, zero+" capabilities^{}"), git.HEAD, "", "", ErrNotFound},
		"empty, a branch": {listed(caps, zero+" capabilities^{}"), mustBranch(t, "main"), "", "",
			ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, map[string]http.HandlerFunc{packPath: refuses(), infoPath: c.info})
			client := s.client()
			head, err := client.Head(t.Context(), s.remote(t), c.ref, Dialect{})
			if !errors.Is(err, c.err) {
				t.Fatalf("got %v, %v", head, err)
			}
			if err != nil {
				return
			}
			if head.Revision.String() != c.sha || head.Ref.String() != c.on ||
				head.Dialect.Protocol != ProtocolV1 {
				t.Errorf("got %+v", head)
			}
			if n := len(s.seen()); n != 2 {
				t.Errorf("%d requests, want 2", n)
			}
			for _, asker := range []*Client{client, s.client()} { // another process has the hint
				before := len(s.seen())
				again, err := asker.Head(t.Context(), s.remote(t), c.ref, head.Dialect)
				if err != nil || again != head || len(s.seen()) != before+1 {
					t.Errorf("again %v, %v, %d requests", again, err, len(s.seen())-before)
				}
			}
		})
	}
}

func TestFault13_MalformedAdvertisement(t *testing.T) {
	good := pkt("# service=git-upload-pack") + "0000"
	for name, body := range map[string]string{
		"nothing":           "",
		"the service alone": good,
		"another service": pkt("# service=git-receive-pack") + "0000" + pkt(shaA+" HEAD") +
			"0000",
		"no length":            "hello",
		"no end":               good + pkt(shaB+" refs/heads/x\x00"),
		"no end after the ref": good + pkt(shaA+" HEAD\x00"),
		"a delimiter":          good + pkt(shaB+" refs/heads/x\x00") + "0001",
		"an empty line":        good + pkt(shaB+" refs/heads/x\x00") + "0004",
		"one field":            good + pkt(shaA) + "0000",
		"upper case":           good + pkt(strings.ToUpper(shaA)+" HEAD") + "0000",
		"all zero":             good + pkt(strings.Repeat("0", 40)+" HEAD") + "0000",
		"another format": good + pkt(shaA+" HEAD\x00object-format=sha256") +
			"0000",
		"an unknown format": good + pkt(shaA+" HEAD\x00object-format=md5") + "0000",
		"a bad tag": good + pkt(shaA+" HEAD", "nonsense HEAD^{}") +
			"0000",
		"version 2 without an end": good + pkt("version 2", "ls-refs"),
		"version 3":                good + pkt("version 3") + "0000",
		"an error":                 good + pkt("ERR \x1b[2J no"),
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, map[string]http.HandlerFunc{packPath: refuses(),
				infoPath: answer(200, advertiseType, body)})
			head, err := s.client().Head(t.Context(), s.remote(t), git.HEAD, Dialect{})
			if !errors.Is(err, ErrInvalidAnswer) || head != (Head{}) ||
				strings.ContainsAny(err.Error(), "\x1b\n") {
				t.Errorf("got %v, %q", head, err)
			}
		})
	}
}

// TestFault13_ManyRefs: a list of all refs is read line by line, up to the one that is wanted.
func TestFault13_ManyRefs(t *testing.T) {
	const refs = 300_000
	s := newServer(t, map[string]http.HandlerFunc{packPath: refuses(),
		infoPath: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", advertiseType)
			_, _ = io.WriteString(w, pkt("# service=git-upload-pack")+"0000"+
				pkt(shaB+" HEAD\x00symref=HEAD:refs/heads/main"))
			for i := range refs {
				line := fmt.Sprintf("%s refs/changes/%06d/%s", shaB, i, strings.Repeat("x", 60))
				if _, err := io.WriteString(w, pkt(line)); err != nil {
					return // the client has what it wants
				}
			}
			_, _ = io.WriteString(w, pkt(shaA+" refs/heads/main")+"0000")
		}})
	c, main := s.client(), mustBranch(t, "main")
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	head, err := c.Head(t.Context(), s.remote(t), main, Dialect{})
	if err != nil || head.Revision.String() != shaA {
		t.Fatalf("got %v, %v", head, err)
	}
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 32<<20 {
		t.Errorf("a list of %d refs took %d bytes", refs, grown)
	}
	if head, err := c.Head(t.Context(), s.remote(t), git.HEAD, Dialect{}); err != nil ||
		head.Revision.String() != shaB {
		t.Errorf("HEAD, the first of them: %v, %v", head, err)
	}
}

func TestFault13_RefsWithoutEndAreAdvertised(t *testing.T) {
	body := guardedBody{left: 10, limit: 10 << 10, inner: io.NopCloser(strings.NewReader(
		strings.Repeat("x", 11))), stall: cancelAfter(func(error) {}, "", 1<<40),
		timeouts: defaultTimeouts(), cancel: func(error) {}}
	if _, err := io.ReadAll(&body); !errors.Is(err, errTooLarge) ||
		!strings.Contains(err.Error(), "10 KiB") {
		t.Errorf("got %v", err)
	}
}

func TestWithoutUnborn(t *testing.T) {
	pack := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // the server has read it
		if strings.Contains(string(body), "unborn") {
			result("0019ERR unexpected unborn")(w, r)
			return
		}
		headMain()(w, r)
	}
	s := newServer(t, map[string]http.HandlerFunc{packPath: pack,
		infoPath: advertises("version 2", "ls-refs", "fetch=shallow")})
	head, err := s.client().Head(t.Context(), s.remote(t), git.HEAD, Dialect{})
	if err != nil || head.Revision.String() != shaA || head.Dialect.Protocol != ProtocolV2Plain ||
		len(s.seen()) != 3 {
		t.Fatalf("got %+v, %v after %d requests", head, err, len(s.seen()))
	}
	if _, err := s.client().Head(t.Context(), s.remote(t), git.HEAD, head.Dialect); err != nil ||
		len(s.seen()) != 4 {
		t.Errorf("with the hint: %v after %d requests", err, len(s.seen()))
	}
}

// TestDialectOfAnotherTime: a server that was made newer is asked in its new way, and remembered.
func TestDialectOfAnotherTime(t *testing.T) {
	s := newServer(t, map[string]http.HandlerFunc{packPath: headMain(),
		infoPath: advertises("version 2", "ls-refs=unborn")})
	old := Dialect{NoSuffix: true, Protocol: ProtocolV1}
	head, err := s.client().Head(t.Context(), s.remote(t), git.HEAD, old)
	if err != nil || head.Dialect.String() != "" || head.Remote != s.remote(t) {
		t.Errorf("got %+v, %v", head, err)
	}
}

func TestDialectInWords(t *testing.T) {
	for _, d := range []Dialect{{}, {NoSuffix: true}, {Protocol: ProtocolV1},
		{NoSuffix: true, Protocol: ProtocolV2Plain}, {Protocol: ProtocolAPI},
		{NoSuffix: true, Protocol: ProtocolDumb}} {
		if got := ParseDialect(d.String()); got != d {
			t.Errorf("%+v is %q, and that %+v", d, d, got)
		}
	}
	if got := ParseDialect("v9 \x00 no-suffix"); got != (Dialect{NoSuffix: true}) {
		t.Errorf("unknown words give %+v", got)
	}
}
