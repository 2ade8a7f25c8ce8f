package workspaceserver

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/client"
	"git.moleculesai.app/molecule-ai/pinion/client/piniontest"
)

// book keeps the lines that are logged.
type book struct {
	mu    sync.Mutex
	lines []string
}

func (b *book) logf(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, fmt.Sprintf(format, args...))
}

func (b *book) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.lines, "\n")
}

func newImages(t *testing.T) (*Images, *piniontest.Server, *book) {
	t.Helper()
	t.Setenv(registryEnv, "")
	t.Setenv(isolationEnv, "")
	fake := piniontest.NewServer()
	t.Cleanup(fake.Close)
	b := &book{}
	return &Images{Logf: b.logf, Connect: func(context.Context) (*client.Client, error) {
		return fake.Client(), nil
	}}, fake, b
}

func TestEnsureLocalImageBuildsAndThenHits(t *testing.T) {
	images, fake, b := newImages(t)
	fake.Set("hermes", piniontest.Template{Image: client.Image{Warnings: []string{"no lock"}}})
	first, err := images.EnsureLocalImage(t.Context(), "hermes")
	if err != nil || !IsLocalBuildImage(first) {
		t.Fatalf("got %q, %v", first, err)
	}
	img, err := images.Ensure(t.Context(), "hermes")
	if err != nil || img.Reference != first || first != LocalImageTag("hermes", img.Revision) {
		t.Errorf("got %+v, %v", img, err)
	}
	for _, line := range []string{
		"local-build: docker build start for " + first + " (sha=" + img.Revision[:12] + ")",
		"local-build: docker build done in ",
		"local-build: warning: no lock",
		"local-build: cache hit for hermes (sha=" + img.Revision[:12] + "), nothing to build",
	} {
		if strings.Count(b.text(), line) == 0 {
			t.Errorf("no %q in\n%s", line, b.text())
		}
	}
	if strings.Count(b.text(), "docker build done") != 1 {
		t.Errorf("a hit looks like a build:\n%s", b.text())
	}
}

func TestFailuresHaveTheWordsOfThePlatform(t *testing.T) {
	images, fake, b := newImages(t)
	fake.Set("broken", piniontest.Template{Log: []string{"E: Unable to locate package"},
		Failure: &client.Failure{Class: client.ClassBuild, Origin: "buildkit",
			Message: "exit 100"}})
	fake.Set("away", piniontest.Template{Failure: &client.Failure{Class: client.ClassUnreachable,
		Origin: "git server", Message: "refused"}})
	fake.Set("stuck", piniontest.Template{Failure: &client.Failure{Class: client.ClassStalled,
		Origin: "buildkit", Message: "nothing moved"}})
	for name, want := range map[string]struct {
		class client.Class
		words string
	}{
		"broken":    {client.ClassBuild, "docker build of broken: exit 100"},
		"away":      {client.ClassUnreachable, "cannot determine HEAD sha of away: refused"},
		"stuck":     {client.ClassStalled, "local-build: nothing moved"},
		"unheard":   {client.ClassNotFound, `refusing to build unknown runtime "unheard"`},
		"../escape": {client.ClassNotFound, `refusing to build unknown runtime "../escape"`},
	} {
		got, err := images.EnsureLocalImage(t.Context(), name)
		if got != "" || client.ClassOf(err) != want.class ||
			!strings.Contains(err.Error(), want.words) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if !strings.Contains(b.text(), "local-build: broken: E: Unable to locate package") {
		t.Errorf("the log lacks the output:\n%s", b.text())
	}
}

func TestSignsOfLifeAreLogged(t *testing.T) {
	b := &book{}
	n := &narrator{logf: b.logf, runtime: "slow"}
	n.event(client.Event{Type: client.EventStillBuilding, Text: "still building slow: step 5/12"})
	n.event(client.Event{Type: client.EventNotice, Text: "local-build: first build of slow"})
	n.event(client.Event{Type: client.EventLog, Text: "output"})
	if got := b.text(); got != "local-build: still building slow: step 5/12\n"+
		"local-build: first build of slow" {
		t.Errorf("the log:\n%s", got)
	}
}

func TestImagesThatAreNotBuilt(t *testing.T) {
	images, fake, b := newImages(t)
	for outcome, want := range map[string]string{
		client.OutcomePulled: "local-build: registry.example.com/x:latest was pulled in ",
		"given":              "local-build: registry.example.com/x:latest was given in ",
	} {
		fake.Set("x", piniontest.Template{Image: client.Image{Mode: "registry", Outcome: outcome,
			Reference: "registry.example.com/x:latest"}})
		b.lines = nil
		if _, err := images.Ensure(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		if got := b.text(); !strings.HasPrefix(got, want) || strings.Contains(got, "docker build") {
			t.Errorf("%s: the log:\n%s", outcome, got)
		}
	}
}

func TestRegistryModeAsksNobody(t *testing.T) {
	images := &Images{Connect: func(context.Context) (*client.Client, error) {
		return nil, errors.New("asked")
	}}
	t.Setenv(registryEnv, "registry.example.com/molecule")
	got, err := images.EnsureLocalImage(t.Context(), "hermes")
	if err != nil || got != "registry.example.com/molecule/workspace-template-hermes:latest" {
		t.Errorf("got %q, %v", got, err)
	}
	t.Setenv(registryEnv, "   ")
	if got, err := images.EnsureLocalImage(t.Context(), "hermes"); err == nil || got != "" ||
		!strings.Contains(err.Error(), "blanks") {
		t.Errorf("blanks give %q, %v", got, err)
	}
}

func TestResolve(t *testing.T) {
	for value, want := range map[string]RegistrySource{
		"":                 {RegistryModeLocal, "molecule-local"},
		"ghcr.io/molecule": {RegistryModeSaaS, "ghcr.io/molecule"},
		"   ":              {RegistryModeSaaS, "   "},
		"\thello\n":        {RegistryModeSaaS, "\thello\n"},
	} {
		t.Setenv(registryEnv, value)
		if got := Resolve(); got != want {
			t.Errorf("%q gives %+v", value, got)
		}
	}
}

func TestNames(t *testing.T) {
	t.Setenv(isolationEnv, "")
	sha := strings.Repeat("0123456789", 4)
	for got, want := range map[string]string{
		LocalImageTag("hermes", sha):                ":012345678901",
		LocalImageTag("hermes", "abc"):              ":abc",
		LocalImageTag("hermes", sha, ""):            ":012345678901",
		LocalImageTag("hermes", sha, "linux/amd64"): ":012345678901",
		LocalImageTag("hermes", sha, "linux/arm64"): ":012345678901-linux-arm64",
		LocalImageLatestTag("hermes"):               ":latest",
	} {
		if want = "molecule-local/workspace-template-hermes" + want; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	t.Setenv(isolationEnv, "job-7")
	if got := LocalImageTag("hermes", sha, "linux/arm64"); !strings.HasSuffix(got,
		":012345678901-linux-arm64--job-7") {
		t.Errorf("with a token it is %s", got)
	}
	if got := LocalImageLatestTag("hermes"); !strings.HasSuffix(got, ":latest--job-7") {
		t.Errorf("with a token it is %s", got)
	}
	if !IsLocalBuildImage(LocalImageLatestTag("x")) || IsLocalBuildImage("molecule-locals/x") ||
		IsLocalBuildImage("ghcr.io/molecule-local/x") {
		t.Error("IsLocalBuildImage is wrong")
	}
	if !IsKnownRuntime("claude-code") || IsKnownRuntime("Claude-Code") || IsKnownRuntime("") {
		t.Error("IsKnownRuntime is wrong")
	}
}

func TestServerFromEnvironment(t *testing.T) {
	fake := piniontest.NewServer()
	defer fake.Close()
	fake.Set("hermes", piniontest.Template{})
	t.Setenv(registryEnv, "")
	t.Setenv(serverEnv, fake.URL())
	if _, err := EnsureLocalImage(t.Context(), "hermes"); err != nil {
		t.Error(err)
	}
	t.Setenv(serverEnv, "nonsense")
	if _, err := new(Images).EnsureLocalImage(t.Context(), "hermes"); err == nil {
		t.Error("no error")
	}
}
