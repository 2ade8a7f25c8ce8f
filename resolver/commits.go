package resolver

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"git.moleculesai.app/molecule-ai/pinion/internal/termtext"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// MaxCommits bounds the commits of [Client.CommitsSince].
const MaxCommits = 20

// maxSubject bounds a [CommitInfo]'s Subject and Author, in bytes.
const maxSubject = 200

// CommitInfo is what people want to know of a commit. Subject and Author are what somebody wrote,
// without control characters.
type CommitInfo struct {
	Revision git.Revision `json:"revision"`
	// Subject is the first line of the message.
	Subject string `json:"subject"`
	Author  string `json:"author"`
	// Time of the commit, as its author's clock had it.
	Time time.Time `json:"time"`
}

// CommitsSince returns the commits that the head has and since has not, in the order in which the
// server gives them, as a rule the newest first. There may be more than are returned: at most
// [MaxCommits] are, and only those that the server stores whole. The server is asked by git's
// protocol for the pack that a `git fetch` would get, of which only the beginning is read.
func (c *Client) CommitsSince(
	ctx context.Context, head Head, since git.Revision,
) (list []CommitInfo, more bool, err error) {
	ctx, cancel := c.withDeadline(ctx)
	defer cancel()
	if head.Dialect.Protocol == ProtocolDumb {
		return nil, false, c.fail("list the commits of", head.Remote, errNotShown)
	}
	from := head
	from.Revision = since
	err = c.fetchPack(ctx, from, head.Revision, false, func(r io.Reader) error {
		list, more, err = readCommits(r, head.Revision.Format())
		return err
	})
	return list, more, c.fail("list the commits of", head.Remote, err)
}

// readCommits reads the commits at the beginning of a pack, and reports whether there may be more.
func readCommits(
	r io.Reader, format git.ObjectFormat,
) (list []CommitInfo, more bool, err error) {
	left, err := packCount(r)
	if err != nil {
		return nil, false, err
	}
	for in := (&byteReader{r: r}); left > 0; left-- {
		text, err := readCommit(in)
		switch {
		case errors.Is(err, errNoCommit):
			return list, errors.Is(err, errDifference) || len(list) == 0, nil
		case err != nil:
			return list, true, err
		case len(list) == MaxCommits:
			return list, true, nil
		}
		info, err := parseCommit(text, format)
		if err != nil {
			return list, true, err
		}
		list = append(list, info)
	}
	return list, false, nil
}

// parseCommit reads a commit's text: headers, an empty line, the message (git's
// Documentation/gitcore-tutorial, `git cat-file commit`).
func parseCommit(text []byte, format git.ObjectFormat) (info CommitInfo, err error) {
	header, message, _ := bytes.Cut(text, []byte("\n\n"))
	if info.Revision, err = git.ParseRevision(nameOf(text, format)); err != nil {
		return info, err
	}
	for line := range strings.SplitSeq(string(header), "\n") {
		if author, ok := strings.CutPrefix(line, "author "); ok {
			name, rest, _ := strings.Cut(author, " <")
			info.Author = cutText(name)
			_, at, _ := strings.Cut(rest, "> ")
			at, _, _ = strings.Cut(at, " ")
			if unix, err := strconv.ParseInt(at, 10, 64); err == nil {
				info.Time = time.Unix(unix, 0).UTC()
			}
			break
		}
	}
	subject, _, _ := strings.Cut(strings.TrimSpace(string(message)), "\n")
	info.Subject = cutText(subject)
	return info, nil
}

// cutText makes a text from a repository fit to be shown in one line.
func cutText(text string) string {
	text = termtext.Sanitize(strings.ToValidUTF8(text, "\uFFFD"))
	if len(text) <= maxSubject {
		return text
	}
	cut := maxSubject
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}
