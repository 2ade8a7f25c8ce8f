package resolver

import (
	"errors"
	"strings"
	"testing"
)

var (
	givenID   = "sha256:" + strings.Repeat("ab", 32)
	givenName = "registry.example.com:5000/team/image:v1@" + givenID
)

func TestGivenImages(t *testing.T) {
	c := newCatalogue(t)
	if err := c.AddFile(writeConfig(t, `
templates:
  - {name: mine, image: "`+givenID+`", platform: native}
  - {name: hermes, image: "`+givenName+`"}
`)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]Template{
		"mine":   {Given: givenID, Platform: "native"},
		"hermes": {Given: givenName},
	} {
		got, err := c.Template(name)
		if err != nil || got.Given != want.Given || got.Platform != want.Platform ||
			!got.Remote.IsZero() || got.RefName() != "" || len(got.Args) != 0 {
			t.Errorf("%s is %+v, %v", name, got, err)
		}
	}
	if text := c.Entries()[0].Meaning; text != "the given image "+givenID+", platform native" {
		t.Errorf("the first entry means %q", text)
	}
}

func TestGivenImagesRefused(t *testing.T) {
	for name, tc := range map[string]struct{ fields, says string }{
		"a tag":            {`image: "team/image:v1"`, "a tag moves"},
		"a short ID":       {`image: "sha256:abcdef"`, "sha256:<64 digits>"},
		"an odd algorithm": {`image: "md5:abcdef"`, "sha256:<64 digits>"},
		"upper case":       {`image: "Team/Image@` + givenID + `"`, "sha256:<64 digits>"},
		"a repository": {`image: "` + givenID + `", repo: "https://h.example/a"`,
			"remove repo"},
		"a branch":       {`image: "` + givenID + `", branch: x`, "remove branch"},
		"arguments":      {`image: "` + givenID + `", args: {A: b}`, "remove args"},
		"Git LFS":        {`image: "` + givenID + `", lfs: true`, "remove lfs"},
		"a time limit":   {`image: "` + givenID + `", timeout: 5m`, "remove timeout"},
		"a bad platform": {`image: "` + givenID + `", platform: arm64`, "platform"},
	} {
		err := newCatalogue(t).AddFile(writeConfig(t,
			"templates:\n  - {name: hermes, "+tc.fields+"}\n"))
		if !errors.Is(err, ErrInvalidInput) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
