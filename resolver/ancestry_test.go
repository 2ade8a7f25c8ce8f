package resolver

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// pack is the beginning of one with that many objects; the first has this type and content.
func pack(count uint32, kind byte, content string) string {
	var b bytes.Buffer
	b.WriteString("PACK")
	_ = binary.Write(&b, binary.BigEndian, []uint32{2, count}) // a buffer takes everything
	size := len(content)
	b.WriteByte(kind<<4 | byte(size&15) | 0x80)
	b.WriteByte(byte(size >> 4))
	z := zlib.NewWriter(&b)
	_, _ = io.WriteString(z, content)
	_ = z.Close()
	return b.String()
}

// band answers a fetch with a pack, after a section that is of no interest.
func band(pack string) http.HandlerFunc {
	half := len(pack) / 2
	return result(pkt("shallow-info", "shallow "+shaA) + "0001" + pkt("packfile") +
		fmt.Sprintf("%04x\x02%s", 5+4, "busy") + "0005\x01" +
		fmt.Sprintf("%04x\x01%s", 5+half, pack[:half]) +
		fmt.Sprintf("%04x\x01%s", 5+len(pack)-half, pack[half:]) + "0000")
}

func TestFault12_AncestryOfHostileServers(t *testing.T) {
	const content = "tree x\n\na commit"
	object := fmt.Appendf(nil, "commit %d\x00%s", len(content), content)
	sum := sha1.Sum(object)
	rev := mustRevision(t, hex.EncodeToString(sum[:]))
	empty, alone := band(pack(0, 0, "")), band(pack(3, 1, content))
	for name, c := range map[string]struct {
		beyond, alone http.HandlerFunc
		ok            bool
	}{
		"an ancestor":       {empty, alone, true},
		"no ancestor":       {band(pack(1, 1, content)), alone, false},
		"very far":          {band(pack(1<<32-1, 1, content)), alone, false},
		"a tree":            {empty, band(pack(1, 2, content)), false},
		"another commit":    {empty, band(pack(1, 1, content+"!")), false},
		"a pack of nothing": {empty, empty, false},
		"no pack":           {result("0000"), alone, false},
		"another pack":      {band("KCAP" + strings.Repeat("\x00", 8)), alone, false},
		"a short pack":      {band("PACK"), alone, false},
		"a short object":    {empty, band(pack(1, 1, content)[:16]), false},
		"a damaged object":  {empty, band(pack(1, 1, content)[:15] + "xxxxxxxx"), false},
		"a size without end": {empty, band("PACK\x00\x00\x00\x02\x00\x00\x00\x01" +
			strings.Repeat("\x9f", 20)), false},
		"an error":           {result(pkt("ERR upload-pack: not our ref")), alone, false},
		"an error in a band": {result("000a\x03 hello"), alone, false},
		"refs":               {headMain(), alone, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, map[string]http.HandlerFunc{
				packPath: func(w http.ResponseWriter, r *http.Request) {
					body, _ := io.ReadAll(r.Body) // the server has read it
					switch text := string(body); {
					case strings.Contains(text, "deepen 1"):
						c.alone(w, r)
					case strings.Contains(text, "have "+shaA):
						c.beyond(w, r)
					case strings.Contains(text, "ref-prefix HEAD\n"):
						headMain()(w, r)
					default:
						refs()(w, r)
					}
				}})
			head, err := s.client().OnBranch(t.Context(), s.remote(t), git.HEAD, rev, Dialect{})
			if c.ok != (err == nil) || !c.ok && !errors.Is(err, ErrNotOnBranch) {
				t.Errorf("got %v, %v", head, err)
			}
		})
	}
}

// TestAncestryOfAServerThatIsDown: an outage does not say that the commit is not on the branch.
func TestAncestryOfAServerThatIsDown(t *testing.T) {
	for status, want := range map[int]error{500: ErrUnavailable, 503: ErrUnavailable,
		429: ErrRateLimited} {
		s := newServer(t, map[string]http.HandlerFunc{
			packPath: func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body) // the server has read it
				if strings.Contains(string(body), "ref-prefix HEAD\n") {
					headMain()(w, r)
					return
				}
				answer(status, "text/plain", "")(w, r)
			}})
		_, err := s.client().OnBranch(t.Context(), s.remote(t), git.HEAD, mustRevision(t, shaB),
			Dialect{})
		if !errors.Is(err, want) || errors.Is(err, ErrNotOnBranch) {
			t.Errorf("%d: %v", status, err)
		}
	}
}
