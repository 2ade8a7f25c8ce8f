package git

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestParseRemoteForms(t *testing.T) {
	for _, tc := range []struct{ raw, text, host, path string }{
		{"https://git.example.com/acme/tool", "https://git.example.com/acme/tool",
			"git.example.com", "acme/tool"},
		{"https://git.example.com/acme/tool.git", "https://git.example.com/acme/tool",
			"git.example.com", "acme/tool"},
		{"https://git.example.com/acme/tool/", "https://git.example.com/acme/tool",
			"git.example.com", "acme/tool"},
		{"HTTPS://Git.Example.COM:8443/sub/acme/Tool", "https://git.example.com:8443/sub/acme/Tool",
			"git.example.com:8443", "sub/acme/Tool"},
		{"https://git.example.com/~user/r_1+x.y", "https://git.example.com/~user/r_1+x.y",
			"git.example.com", "~user/r_1+x.y"},
		{"https://[2001:db8::1]:3000/a/b", "https://[2001:db8::1]:3000/a/b", "[2001:db8::1]:3000",
			"a/b"},
		{"https://git.example.com/My%20Project/_git/t%C3%BCl",
			"https://git.example.com/My%20Project/" +
				"_git/t%C3%BCl", "git.example.com", "My Project/_git/tül"},
		{"https://git.example.com/%61cme/a@b,c%28d%29", "https://git.example.com/acme/a@b,c%28d%29",
			"git.example.com", "acme/a@b,c(d)"},
		{"http://localhost:3000/a/b", "http://localhost:3000/a/b", "localhost:3000", "a/b"},
		{"http://127.1.2.3/a/b", "http://127.1.2.3/a/b", "127.1.2.3", "a/b"},
		{"http://[::1]:80/a/b", "http://[::1]:80/a/b", "[::1]:80", "a/b"},
	} {
		t.Run(tc.raw, func(t *testing.T) {
			r, err := ParseRemote(tc.raw)
			if err != nil {
				t.Fatal(err)
			}
			if r.String() != tc.text || r.Host() != tc.host || r.Path() != tc.path || r.IsZero() {
				t.Errorf("got %q, host %q, path %q", r, r.Host(), r.Path())
			}
			again, err := ParseRemote(r.GitURL())
			if err != nil || again != r {
				t.Errorf("parsing %q again gives %v, %v", r.GitURL(), again, err)
			}
		})
	}
}

// refuseRemotes checks that each URL is refused with an InputError.
func refuseRemotes(t *testing.T, raws ...string) {
	t.Helper()
	for _, raw := range raws {
		r, err := ParseRemote(raw, AllowInsecureHTTP())
		var typed *InputError
		if !errors.Is(err, ErrInvalid) || !errors.As(err, &typed) || !r.IsZero() {
			t.Errorf("ParseRemote(%q) = %q, %v; want it refused", raw, r, err)
		}
	}
}

func TestFault01_LeadingDash(t *testing.T) {
	refuseRemotes(t, "https://h.example/-owner/repo", "https://h.example/owner/-repo",
		"https://h.example/owner/--upload-pack=x",
		"https://-h.example/owner/repo", "-https://h.example/a/b", "--upload-pack=touch /tmp/x")
	for _, s := range []string{"-main", "--upload-pack=x", "refs/heads/-x"} {
		if ref, err := ParseBranch(s); !errors.Is(err, ErrInvalid) || ref != HEAD {
			t.Errorf("ParseBranch(%q) = %v, %v", s, ref, err)
		}
	}
	for _, s := range []string{"-x", "a/-x", "--help"} {
		if _, err := ParseSubdir(s); !errors.Is(err, ErrInvalid) {
			t.Errorf("ParseSubdir(%q) = %v", s, err)
		}
	}
}

func TestFault02_SchemeAllowList(t *testing.T) {
	refuseRemotes(t, "ext::sh -c id", "ext::https://h.example/a/b", "EXT::https://h.example/a/b",
		"ext://h.example/a/b",
		"file:///etc/repo", "FILE:///etc/repo", "File://h.example/a/b", "git://h.example/a/b",
		"GiT://h.example/a/b",
		"ssh://h.example/a/b", "git+ssh://h.example/a/b", "ftp://h.example/a/b",
		"git@h.example:a/b", "h.example:a/b",
		"h.example/a/b", "/srv/repo", "../repo", "//h.example/a/b", "https:h.example/a/b",
		"https:/h.example/a/b", "javascript:alert(1)")
	for _, raw := range []string{"http://h.example/a/b", "HTTP://h.example/a/b",
		"http://localhost.evil.example/a/b", "http://127.0.0.1.evil.example/a/b",
		"http://10.0.0.1/a/b", "http://[::2]/a/b", "http://0x7f.1/a/b", "http://notlocalhost/a/b"} {
		if r, err := ParseRemote(raw); !errors.Is(err, ErrInvalid) {
			t.Errorf("ParseRemote(%q) = %v, %v; want http refused", raw, r, err)
		}
	}
	if r, err := ParseRemote("http://h.example/a/b", AllowInsecureHTTP()); err != nil ||
		r.Scheme() != "http" {
		t.Errorf("opted in, got %v, %v", r, err)
	}
}

func TestFault03_ControlCharacters(t *testing.T) {
	refuseRemotes(t, "https://h.example/a/b\n", "https://h.example/a\r/b",
		"https://h.example/a\x00/b", "https://h.example/a%0a/b",
		"https://h.example/a%0D%0Ab", "https://h.example%0a/a/b", "https://h.example/a/b%00",
		"https://h.example/a b/c",
		"\thttps://h.example/a/b", "https://h.example/a/\u202eb", "https://h\u00e4.example/a/b",
		"https://h.example/a/b\x7f")
	for _, s := range []string{"a\nb", "a\rb", "a\x00", "a\x1b[0m", "a\u202eb", "a\xff"} {
		if _, err := ParseBranch(s); !errors.Is(err, ErrInvalid) {
			t.Errorf("ParseBranch(%q) is taken", s)
		}
		_, err := ParseSubdir(s)
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("ParseSubdir(%q) is taken", s)
		} else if strings.ContainsAny(err.Error(), "\n\r\x00\x1b\u202e") {
			t.Errorf("the error repeats the character: %q", err)
		}
	}
}

func TestFault04_EmptyHost(t *testing.T) {
	refuseRemotes(t, "", " ", "https://", "https:///x", "https:///owner/repo", "https://:443/a/b",
		"https://./a/b", "https://h..example/a/b",
		"https://h.example./a/b", "https://h.example:/a/b", "https://h.example:0/a/b",
		"https://h.example:65536/a/b", "https://h.example:x/a/b",
		"https://[]/a/b", "https://[127.0.0.1]/a/b", "https://[::1/a/b", "https://h.example",
		"https://h.example/", "https://h.example/.git")
}

func TestFault05_Userinfo(t *testing.T) {
	raws := []string{"https://user:canary@h.example/a/b", "https://canary@h.example/a/b",
		"https://:canary@h.example/a/b",
		"https://@h.example/a/b", "https://user:canary@h.example:bad/a/b", "https://a:canary@/x",
		"git:canary@h.example:a/b",
		"https://h.example/a/b?token=canary", "https://user:can ary@h.example/a"}
	refuseRemotes(t, raws...)
	for _, raw := range raws {
		if _, err := ParseRemote(raw); err == nil || strings.Contains(err.Error(), "canary") ||
			strings.Contains(err.Error(), "can ary") {
			t.Errorf("the error for %q repeats the credential: %v", raw, err)
		}
	}
}

func TestFault06_SmuggledDelimiters(t *testing.T) {
	refuseRemotes(t, "https://h.example/a/b#main", "https://h.example/a/b#",
		"https://h.example/a/b?ref=x", "https://h.example/a/b?",
		"https://h.example/a/b:c", "https://h.example/a/b%23main", "https://h.example/a/b%3fx",
		"https://h.example/a/b%3ac",
		"https://h.example/a//b", "https://h.example//a/b", "https://h.example/a/../b",
		"https://h.example/a/%2e%2e/b", "https://h.example/./a",
		`https://h.example/a\b`, `https://h.example\@evil.example/a/b`,
		"https://h.example/a/b.git.git", "https://h.example/a/b;c", "https://h.example/a/$(id)",
		"https://h.example/a%2fb", "https://h.example/a/b%5cc", "https://h.example/a/b%25c",
		"https://h.example/a/%2E/b", "https://h.example/a/b%2egit.git", "https://h.example/a/b%",
		"https://h.example/a/b%zz", "https://h.example/a/%20b", "https://h.example/a/b%20",
		"https://h.example/a=b", "https://h.example/%2d-x/b", "https://h.example/a/b%3Bc",
		"https://h.example/a/%E9", "https://h.example/a/b%E2%80%AEc",
		"https://h.example/a/b%C2%A0c")
	for _, s := range []string{"a#b", "a:b", "a?b", "a%23b", `a\b`} {
		if _, err := ParseSubdir(s); !errors.Is(err, ErrInvalid) {
			t.Errorf("ParseSubdir(%q) is taken", s)
		}
	}
}

func TestFault07_SubdirOutside(t *testing.T) {
	for _, s := range []string{"..", "../x", "a/..", "a/../b", "a/../../b", "/", "/etc", "//x",
		"%2e%2e/x"} {
		if got, err := ParseSubdir(s); !errors.Is(err, ErrInvalid) {
			t.Errorf("ParseSubdir(%q) = %q, %v", s, got, err)
		}
	}
	for in, want := range map[string]string{"": "", ".": "", "./": "", "a": "a", "a/": "a",
		"./a/./b//c/": "a/b/c", "..a/b..": "..a/b..", "ä/b c": "ä/b c"} {
		if got, err := ParseSubdir(in); err != nil || got != want {
			t.Errorf("ParseSubdir(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestFault08_GitSuffix(t *testing.T) {
	for _, raw := range []string{"https://h.example/a/b", "https://h.example/a/b.git",
		"https://h.example/a/b/", "https://h.example/a/b.git/"} {
		r, err := ParseRemote(raw)
		if err != nil || r.GitURL() != "https://h.example/a/b.git" ||
			r.String() != "https://h.example/a/b" {
			t.Errorf("%s: %q, %q, %v", raw, r.GitURL(), r, err)
		}
	}
	if got := (Remote{}).GitURL() + (Remote{}).String(); got != "" {
		t.Errorf("the zero Remote is %q", got)
	}
}

func TestFault09_RevisionShape(t *testing.T) {
	sha1, sha256 := strings.Repeat("0a", 20), strings.Repeat("0a", 32)
	for _, s := range []string{"", "HEAD", sha1[:12], sha1[:39], sha1 + "0", sha256[:63], sha256 +
		"0", strings.ToUpper(sha1),
		strings.Repeat("0", 40), strings.Repeat("0", 64), strings.Repeat("g", 40), " " + sha1[1:],
		sha1[:39] + "\n"} {
		if r, err := ParseRevision(s); !errors.Is(err, ErrInvalid) || !r.IsZero() {
			t.Errorf("ParseRevision(%q) = %v, %v", s, r, err)
		}
	}
	for s, format := range map[string]ObjectFormat{sha1: SHA1, sha256: SHA256} {
		r, err := ParseRevision(s)
		if err != nil || r.String() != s || r.Short() != s[:12] || r.Format() != format {
			t.Errorf("ParseRevision(%q) = %v, %v", s, r, err)
		}
	}
	if zero := (Revision{}); zero.Short() != "" || zero.Format() != "" || !zero.IsZero() {
		t.Error("the zero Revision isn't empty")
	}
}

func TestRevisionText(t *testing.T) {
	r, err := ParseRevision(strings.Repeat("ab", 20))
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range []Revision{r, {}} {
		text, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		var out Revision
		if err := json.Unmarshal(text, &out); err != nil || out != in {
			t.Errorf("%s comes back as %v, %v", text, out, err)
		}
	}
	for _, text := range []string{`"abc"`, `1`, `{}`} {
		out := r
		if err := json.Unmarshal([]byte(text), &out); err == nil || out != r {
			t.Errorf("%s gives %v, %v", text, out, err)
		}
	}
}

func TestFault10_BranchNamedLikeCommit(t *testing.T) {
	sha := strings.Repeat("ab", 20)
	ref, err := ParseBranch(sha)
	if err != nil || ref.String() != "refs/heads/"+sha || ref.Branch() != sha || ref.IsHEAD() {
		t.Errorf("got %v, %v", ref, err)
	}
}

func TestParseBranch(t *testing.T) {
	if HEAD.String() != "HEAD" || HEAD.Branch() != "" || HEAD != (Ref{}) {
		t.Errorf("HEAD is %q, %q", HEAD, HEAD.Branch())
	}
	for in, want := range map[string]string{"main": "refs/heads/main",
		"refs/heads/main": "refs/heads/main", "feature/x.y_z-1": "refs/heads/feature/x.y_z-1",
		"größe": "refs/heads/größe", "fix#12": "refs/heads/fix#12", "a/-b": "refs/heads/a/-b",
		"a%b&c;d|e'f\"g$h!i(j)k{l}m<n>o,": "refs/heads/a%b&c;d|e'f\"g$h!i(j)k{l}m<n>o,",
		"a=b+c`d":                         "refs/heads/a=b+c`d",
		"refs/heads/refs/x":               "refs/heads/refs/x",
		"refs/heads/HEAD":                 "refs/heads/HEAD",
		"refs/heads/@":                    "refs/heads/@",
		"a@b":                             "refs/heads/a@b", "a]b": "refs/heads/a]b",
		"👩‍💻": "refs/heads/👩‍💻"} {
		if ref, err := ParseBranch(in); err != nil || ref.String() != want {
			t.Errorf("ParseBranch(%q) = %v, %v", in, ref, err)
		}
	}
	for _, s := range []string{"", "HEAD", "@", "refs/tags/v1", "refs/heads/", "a..b", "a@{1}",
		"a.", "a.lock", "a/b.lock/c", ".a", "a/.b", "/a", "a/", "a//b",
		"a b", "a~1", "a^", "a:b", "a?", "a*", "a[b", `a\b`, strings.Repeat("a", 256),
		strings.Repeat("a/", 512) + "b", "a\u202eb", "a\u00adb",
		"a\x85b", "a\x7f"} {
		if ref, err := ParseBranch(s); !errors.Is(err, ErrInvalid) || ref != HEAD {
			t.Errorf("ParseBranch(%q) = %v, %v; want it refused", s, ref, err)
		}
	}
}

func TestParseTag(t *testing.T) {
	for _, in := range []string{"v1.2", "refs/tags/v1.2"} {
		ref, err := ParseTag(in)
		if err != nil || ref.String() != "refs/tags/v1.2" || ref.Tag() != "v1.2" ||
			ref.Branch() != "" || ref.IsHEAD() {
			t.Errorf("ParseTag(%q) = %v, %v", in, ref, err)
		}
	}
	for _, s := range []string{"", "HEAD", "refs/heads/v1", "refs/tags/", "-x", "a..b"} {
		if ref, err := ParseTag(s); !errors.Is(err, ErrInvalid) || ref != HEAD {
			t.Errorf("ParseTag(%q) = %v, %v; want it refused", s, ref, err)
		}
	}
}

// FuzzParseRemote: what is taken is taken again, in the same meaning.
func FuzzParseRemote(f *testing.F) {
	for _, seed := range []string{"https://h.example/a/b", "http://[::1]:80/x.git",
		"https://u:p@h/a#b?c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		r, err := ParseRemote(raw, AllowInsecureHTTP())
		if err != nil {
			return
		}
		again, err := ParseRemote(r.GitURL(), AllowInsecureHTTP())
		if err != nil || again != r || strings.ContainsAny(r.String(), "#?\\ \n") {
			t.Errorf("%q gives %q, and that gives %q, %v", raw, r, again, err)
		}
	})
}
