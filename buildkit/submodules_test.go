package buildkit

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

func TestParseSubmodules(t *testing.T) {
	const text = `# comment
[submodule "one"]
	path = lib/one
	url = https://git.example/a/one.git ; where it is
	branch = main
[submodule "two \x"]
`
	good, _, _ := strings.Cut(text, "[submodule \"two")
	got, err := parseSubmodules([]byte(good +
		"[submodule \"quoted\"]\npath=\"q q\"\nURL = ../two\n" +
		""))
	want := []submodule{{"one", "lib/one", "https://git.example/a/one.git"},
		{"quoted", "q q", "../two"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{text, good + good, "[submodule \"half\"]\npath = x\n",
		"[submodule \"half\"]\nurl = ../x\n", good + "url = https://evil.example/x\n", "path = x\n",
		"[core]\nx = y\n",
		"[submodule \"a\"]\npath = " +
			"..\nurl = https://x.example/a\n", "[submodule \"a\"]\nurl = https://x\\\ny\n"} {
		if got, err := parseSubmodules([]byte(bad)); err == nil {
			t.Errorf("%q gives %v", bad, got)
		}
	}
}

func TestSubmoduleRepositories(t *testing.T) {
	of, err := git.ParseRemote("https://git.example/team/app")
	if err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]string{
		"../lib.git":                      "https://git.example/team/lib",
		"./sub":                           "https://git.example/team/app/sub",
		"https://git.example/team/x":      "https://git.example/team/x",
		"https://GIT.example/team/x":      "https://git.example/team/x",
		"https://other.example/any/thing": "https://other.example/any/thing",
		"../../elsewhere/lib":             "",
		"../../../evil.example/team/x":    "",
		"../../../team/x":                 "",
		"../a/../../../evil.example/x":    "",
		"./../lib":                        "https://git.example/team/lib",
		"https://git.example/teammates/x": "",
		"https://evil.example/team/x":     "",
		"https://git.example.evil/team/x": "",
		"git@git.example:team/x":          "",
		"ssh://git.example/team/x":        "",
		"file:///etc":                     "",
		"/etc":                            "",
		"http://git.example/team/x":       "",
		"https://u:p@git.example/team/x":  "",
	} {
		s := submoduleCheck{allowed: []string{"git.example/team", "other.example"}}
		got, err := s.resolve(submodule{"m", "m", url}, of)
		if (err == nil) != (want != "") || err == nil && got.String() != want {
			t.Errorf("%s: %s, %v", url, got, err)
		}
	}
	s := submoduleCheck{allowed: []string{"evil.example"}}
	_, err = s.resolve(submodule{"m", "m", "ext::sh -c x"}, of)
	if !errors.Is(err, git.ErrInvalid) {
		t.Errorf("a transport of git's: %v", err)
	}
}
