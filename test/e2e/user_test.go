package e2e_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
)

// user is a user of Pinion, by the library or the command line: an environment, with a
// home and a cache folder of its own.
type user struct{ env map[string]string }

func newUser(t *testing.T) user {
	t.Helper()
	home := t.TempDir()
	return user{map[string]string{
		"HOME": home, "PATH": os.Getenv("PATH"),
		"MOLECULE_LOCAL_BUILD_CACHE": filepath.Join(home, "cache"),
		"PINION_WAIT_CACHE":          "1", // no process outlives its test
	}}
}

// with is the same user with other variables: names and values in turn.
func (u user) with(pairs ...string) user {
	env := maps.Clone(u.env)
	for pair := range slices.Chunk(pairs, 2) {
		env[pair[0]] = pair[1]
	}
	return user{env}
}

func (u user) lookup(name string) (string, bool) {
	v, ok := u.env[name]
	return v, ok
}

func (u user) environ() (env []string) {
	for k, v := range u.env {
		env = append(env, k+"="+v)
	}
	return env
}

func (u user) cacheDir() string { return u.env["MOLECULE_LOCAL_BUILD_CACHE"] }

// open makes an orchestrator, as each new process would.
func (u user) open(t *testing.T, opts ...pinion.Option) *pinion.Orchestrator {
	t.Helper()
	o, err := pinion.New(append([]pinion.Option{pinion.OptionsFromEnv(u.lookup)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	// The test's folders are removed after this.
	t.Cleanup(func() {
		if err := o.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return o
}

func (u user) try(t *testing.T, opts ...pinion.EnsureOption) (pinion.Image, error) {
	t.Helper()
	return u.open(t).Ensure(t.Context(), runtime, opts...)
}

func (u user) ensure(t *testing.T, want pinion.Outcome, opts ...pinion.EnsureOption) pinion.Image {
	t.Helper()
	img, err := u.try(t, opts...)
	if err != nil {
		t.Fatal(err)
	}
	if img.Outcome != want {
		t.Fatalf("outcome is %s, not %s (reason %q)", img.Outcome, want, img.Reason)
	}
	if (img.Reason == "") != (want == pinion.OutcomeHit) {
		t.Errorf("outcome %s has the reason %q", img.Outcome, img.Reason)
	}
	return img
}

// refuse expects an error of a kind that says all the words.
func (u user) refuse(t *testing.T, kind error, words ...string) {
	t.Helper()
	img, err := u.try(t)
	if err == nil {
		t.Fatalf("no error but %+v", img)
	}
	wantError(t, err, kind, words...)
}

func wantError(t *testing.T, err, kind error, words ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("error is %v, not of kind %v", err, kind)
	}
	var typed *pinion.Error
	if !errors.As(err, &typed) && !errors.Is(err, context.Canceled) {
		t.Errorf("%v is no *pinion.Error", err)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q does not say %q", err, word)
		}
	}
}

func wantOneOf(t *testing.T, err error, kinds ...error) {
	t.Helper()
	for _, kind := range kinds {
		if errors.Is(err, kind) {
			return
		}
	}
	t.Errorf("error is %v, of none of the kinds %v", err, kinds)
}

// records are the files of the cache whose names match a pattern.
func (u user) records(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(u.cacheDir(), "records", "*", "*", pattern))
	if err != nil {
		t.Fatal(err)
	}
	return files
}
