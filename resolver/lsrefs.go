package resolver

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// refAnswer is what the server said about one ref. The zero value means that
// the ref isn't there.
type refAnswer struct {
	name     string
	revision git.Revision // zero if unborn; the commit, where the server peeled a tag
	unborn   bool         // HEAD points to a branch that has no commit yet
	symref   string       // where HEAD points to, "" if that is nowhere or unknown
}

func (a refAnswer) exists() bool { return a.name != "" }

// errRefused: the server ended the protocol instead of listing refs. That is
// how git answers a wrong object format, an argument or a version of the protocol
// that it does not know: by an ERR line, or by nothing at all.
var errRefused = errors.New("the server refused the request")

// lsRefsRequest is the body of an ls-refs command (gitprotocol-v2). The object
// format is left out for SHA1, which is its default: servers before git 2.28
// don't know the capability and would refuse it. A server that does not
// advertise unborn may refuse that, too.
func lsRefsRequest(format git.ObjectFormat, protocol Protocol, prefixes []string) []byte {
	body := appendPkt(nil, "command=ls-refs")
	if format != git.SHA1 {
		body = appendPkt(body, "object-format="+string(format))
	}
	body = append(body, pktDelimStr...)
	arguments := []string{"peel", "symrefs", "unborn"}
	if protocol == ProtocolV2Plain {
		arguments = arguments[:2]
	}
	for _, argument := range arguments {
		body = appendPkt(body, argument)
	}
	for _, prefix := range prefixes {
		body = appendPkt(body, "ref-prefix "+prefix)
	}
	return append(body, pktFlushStr...)
}

// readRefs reads an answer to ls-refs up to the first ref that is exactly one
// of names: a prefix also matches any number of longer names. It returns the
// zero refAnswer if the list ends without one.
func readRefs(r io.Reader, format git.ObjectFormat, names []string) (refAnswer, error) {
	lines := newPktReader(r)
	for first := true; ; first = false {
		payload, mark, err := lines.next()
		switch {
		case errors.Is(err, io.EOF) && first:
			return refAnswer{}, fmt.Errorf("%w: its answer is empty", errRefused)
		case errors.Is(err, io.EOF):
			return refAnswer{}, fmt.Errorf("%w: the list of refs has no end", ErrInvalidAnswer)
		case err != nil:
			return refAnswer{}, bodyError(err)
		case mark == pktFlush:
			return refAnswer{}, nil
		case mark >= 0:
			return refAnswer{},
				fmt.Errorf("%w: a mark %04d in the list of refs", ErrInvalidAnswer, mark)
		}
		if message, isError := bytes.CutPrefix(payload, []byte("ERR ")); isError {
			return refAnswer{}, fmt.Errorf("%w: it says %s", errRefused,
				quoteAnswer(strings.TrimSpace(string(message))))
		}
		answer, err := parseRef(strings.TrimSuffix(string(payload), "\n"), format)
		if err != nil {
			return refAnswer{}, fmt.Errorf("%w: %w", ErrInvalidAnswer, err)
		}
		if slices.Contains(names, answer.name) {
			lines.finish()
			return answer, nil
		}
	}
}

// bodyError sorts a failure to read: what the network or a deadline did keeps
// its kind, the rest is the server's fault.
func bodyError(err error) error {
	if errors.Is(err, errMalformedPkt) || errors.Is(err, errTooLarge) {
		return fmt.Errorf("%w: %w", ErrInvalidAnswer, err)
	}
	return err
}

// parseRef reads one line: "<oid> <name>" or "unborn <name>", then attributes.
func parseRef(line string, format git.ObjectFormat) (refAnswer, error) {
	fields := strings.Split(line, " ")
	if len(fields) < 2 || fields[1] == "" {
		return refAnswer{}, fmt.Errorf("%s isn't a ref", quoteAnswer(line))
	}
	answer := refAnswer{name: fields[1], unborn: fields[0] == "unborn"}
	if answer.unborn && answer.name != "HEAD" {
		return refAnswer{}, fmt.Errorf("%s says unborn of a ref that isn't HEAD", quoteAnswer(line))
	}
	if !answer.unborn {
		revision, err := parseObject(fields[0], format)
		if err != nil {
			return refAnswer{}, err
		}
		answer.revision = revision
	}
	for _, attribute := range fields[2:] {
		if target, ok := strings.CutPrefix(attribute, "symref-target:"); ok {
			answer.symref = target
		}
		if peeled, ok := strings.CutPrefix(attribute, "peeled:"); ok && !answer.unborn {
			revision, err := parseObject(peeled, format)
			if err != nil {
				return refAnswer{}, err
			}
			answer.revision = revision
		}
	}
	return answer, nil
}

// parseObject parses a revision, and refuses one of another format.
func parseObject(hex string, format git.ObjectFormat) (git.Revision, error) {
	revision, err := git.ParseRevision(hex)
	if err != nil {
		// the server's fault: not an ErrInvalidInput
		return git.Revision{}, fmt.Errorf("%s isn't a commit", quoteAnswer(hex))
	}
	if revision.Format() != format {
		return git.Revision{}, fmt.Errorf("%s isn't of the repository's object format %s",
			quoteAnswer(hex), format)
	}
	return revision, nil
}

// finish reads the end of the stream if it has arrived already, so that the
// connection can be used again. Failures don't matter: the answer is complete.
func (r *pktReader) finish() {
	if rest, _ := r.in.Peek(min(r.in.Buffered(), pktHeader)); string(rest) == pktFlushStr {
		_, _ = r.in.Discard(pktHeader)
		_, _ = r.in.Peek(1)
	}
}
