package resolver

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
)

func TestLoadBindsTokensToHosts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	text := "credentials:\n- {host: other.example, token_env: OTHER_TOKEN}\n" +
		"- {host: empty.example, token_env: EMPTY_TOKEN}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"OTHER_TOKEN": " other\n", "EMPTY_TOKEN": " "}
	from, err := Load(LoadConfig{Prefix: "https://own.example/x-", File: file, Token: "own",
		Lookup: func(name string) (string, bool) { v, ok := env[name]; return v, ok }})
	if err != nil {
		t.Fatal(err)
	}
	if len(from.Credentials) != 2 || from.Credentials["own.example"].Token != "own" ||
		from.Credentials["other.example"].Token != "other" {
		t.Errorf("credentials are %v", from.Credentials)
	}
	for host, want := range map[string]string{
		"own.example": DefaultTokenEnv, "other.example": "OTHER_TOKEN",
		"empty.example": "EMPTY_TOKEN",
	} {
		if got := from.TokenHint(host); got != want {
			t.Errorf("the token of %s is in %s, want %s", host, got, want)
		}
	}
	if got := from.TokenHint("third.example"); !strings.Contains(got, "credentials") {
		t.Errorf("the token of another host is in %s", got)
	}
}

func TestLoadOfAMissingFile(t *testing.T) {
	cfg := LoadConfig{File: filepath.Join(t.TempDir(), "none.yaml")}
	if from, err := Load(cfg); err != nil || len(from.Catalogue.Names()) == 0 {
		t.Errorf("got %+v, %v", from, err)
	}
	cfg.Required = true
	_, err := Load(cfg)
	if s, _ := errdef.SituationOf(err); s != errdef.ConfigMissing ||
		!errors.Is(err, ErrInvalidInput) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error is %v", err)
	}
}

// TestLoadOfAFolder: what cannot be read was named wrongly.
func TestLoadOfAFolder(t *testing.T) {
	if _, err := Load(LoadConfig{File: t.TempDir()}); !errors.Is(err, ErrInvalidInput) {
		t.Errorf("error is %v", err)
	}
}
