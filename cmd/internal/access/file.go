package access

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"golang.org/x/time/rate"

	"git.moleculesai.app/molecule-ai/pinion/internal/lazy"
)

// maxFile bounds the file of tokens, in bytes.
const maxFile = 1 << 20

// entry is a caller in the file.
type entry struct {
	Name      string   `yaml:"name"`
	SHA256    string   `yaml:"sha256"`
	Rights    []Right  `yaml:"rights,flow"`
	Templates []string `yaml:"templates,omitempty,flow"`
	// PerMinute bounds the caller's requests in a minute; 0 does not.
	PerMinute int `yaml:"requests_per_minute,omitempty"`
}

// Grant is what a new token is for.
type Grant struct {
	Name      string
	Rights    []string // see and build if there are none
	Templates []string // all if there are none
	PerMinute int      // the limit of requests in a minute; 0 is none
}

// New makes a token, and the entry for it in the file of tokens, as YAML. The error says what is
// wrong with the grant.
func New(g Grant) (token string, yamlEntry []byte, err error) {
	token = rand.Text()
	sum := sha256.Sum256([]byte(token))
	e := entry{Name: g.Name, SHA256: hex.EncodeToString(sum[:]), Templates: g.Templates,
		PerMinute: g.PerMinute, Rights: []Right{See, Build}}
	if len(g.Rights) > 0 {
		e.Rights = nil
	}
	for _, r := range g.Rights {
		e.Rights = append(e.Rights, Right(r))
	}
	if _, err := e.caller(); err != nil {
		return "", nil, err
	}
	yamlEntry, err = yaml.Marshal([]entry{e})
	return token, yamlEntry, err
}

// Read reads a file of tokens:
//
//	tokens:
//	- name: ci
//	  sha256: 9f86d081884c7d65…        # of the token, which is not in the file
//	  rights: [see, build]             # of see, build, cancel and prune; see and build if absent
//	  templates: [claude-code]         # all if absent
//	  requests_per_minute: 60          # no limit if absent
//
// The error names the entry and what is wrong with it.
func Read(path string) (List, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, maxFile)
	}
	list, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return list, nil
}

func parse(text []byte) (List, error) {
	var file struct {
		Tokens []entry `yaml:"tokens"`
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(file.Tokens) == 0 {
		return nil, errors.New("there are no tokens")
	}
	var list List
	for i, e := range file.Tokens {
		c, err := e.caller()
		if err == nil && slices.ContainsFunc(list,
			func(o *Caller) bool { return o.Name == c.Name || o.digest == c.digest }) {
			err = errors.New("another entry has its name or its token")
		}
		if err != nil {
			return nil, fmt.Errorf("token %d (%q): %w", i+1, e.Name, err)
		}
		list = append(list, c)
	}
	return list, nil
}

// plain is a name that can stand in a log.
var plain = lazy.Regexp(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)

func (e entry) caller() (*Caller, error) {
	c := &Caller{Name: e.Name, Rights: e.Rights, Templates: e.Templates}
	sum, err := hex.DecodeString(strings.ToLower(e.SHA256))
	switch {
	case !plain().MatchString(e.Name):
		return nil, errors.New("name: use letters, digits and ._@-, at most 64")
	case err != nil || len(sum) != sha256.Size:
		return nil, errors.New("sha256: use the 64 digits that `pinion token` prints")
	case e.PerMinute < 0:
		return nil, errors.New("requests_per_minute: it is negative")
	}
	for _, r := range e.Rights {
		if !slices.Contains(Rights(), r) {
			return nil, fmt.Errorf("rights: %q is none; there are see, build, cancel and prune", r)
		}
	}
	if e.Rights == nil {
		c.Rights = []Right{See, Build}
	}
	if c.May(Prune) && !c.SeesAll() {
		return nil, errors.New("rights: prune is about all templates; leave templates out")
	}
	if e.PerMinute > 0 {
		c.limit = rate.NewLimiter(rate.Limit(e.PerMinute)/60, e.PerMinute)
	}
	c.digest = [sha256.Size]byte(sum)
	return c, nil
}
