package resolver

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

func TestPktReader(t *testing.T) {
	r := newPktReader(strings.NewReader("0005a0004000000010002" + "0009abcd\n" + "000Ax\n"))
	for _, want := range []struct {
		payload string
		mark    int
	}{{"a", -1}, {"", -1}, {"", pktFlush}, {"", pktDelim}, {"", pktEnd}, {"abcd\n", -1}} {
		payload, mark, err := r.next()
		if err != nil || string(payload) != want.payload || mark != want.mark {
			t.Errorf("got %q, %d, %v; want %q, %d", payload, mark, err, want.payload, want.mark)
		}
	}
	if _, _, err := r.next(); !errors.Is(err, errMalformedPkt) {
		t.Errorf("a truncated line gives %v", err)
	}
	if _, _, err := newPktReader(strings.NewReader("")).next(); !errors.Is(err, io.EOF) {
		t.Errorf("the end gives %v", err)
	}
}

func FuzzReadRefs(f *testing.F) {
	for _, seed := range []string{"", "0000", "0001",
		pkt(shaA+" HEAD symref-target:refs/heads/main") + "0000", pkt("unborn HEAD") + "0000",
		pkt("ERR no"), "fff0", "0003"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		answer, err := readRefs(bytes.NewReader(body), git.SHA1, []string{"HEAD"})
		switch {
		case err != nil && answer != (refAnswer{}):
			t.Errorf("an answer with an error: %+v, %v", answer, err)
		case err != nil && !errors.Is(err, ErrInvalidAnswer) && !errors.Is(err, errRefused):
			t.Errorf("an error of no kind: %v", err)
		case answer.exists() &&
			(answer.name != "HEAD" || answer.unborn != answer.revision.IsZero()):
			t.Errorf("got %+v", answer)
		}
	})
}

func FuzzDecodeObject(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":{"b":[1,null,"x"]}}`, `{"a":1,"a":2}`, `[`, `{"a"`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if got, err := decodeObject(bytes.NewReader(body)); (got == nil) == (err == nil) ||
			err != nil && !errors.Is(err, ErrInvalidAnswer) {
			t.Errorf("got %v, %v", got, err)
		}
	})
}
