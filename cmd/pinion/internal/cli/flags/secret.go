package flags

import (
	"io"
	"os"
	"strings"
)

// Secret returns the secret in the file that a flag names, or else the value of a variable. It
// returns "" if neither is set, and rejects a secret with fewer characters than least.
func Secret(flag, file, variable, value string, least int) (string, error) {
	source := variable
	if file != "" {
		source = flag
		text, err := readSmall(file)
		if err != nil {
			return "", Errorf("%s: %w", flag, err)
		}
		value = text
	}
	value = strings.TrimSpace(value)
	if (value != "" || file != "") && len(value) < least {
		return "", Errorf("%s: a secret of fewer than %d characters could be guessed; create one "+
			"with `openssl rand -hex 32`", source, least)
	}
	return value, nil
}

// readSmall reads at most 4 KiB.
func readSmall(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, 4<<10))
	return string(text), err
}
