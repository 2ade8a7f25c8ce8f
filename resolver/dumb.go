package resolver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/internal/lazy"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

// dumbLine is a line of the file info/refs, which git update-server-info writes.
var dumbLine = lazy.Regexp(`^([0-9a-f]{40}|[0-9a-f]{64})\t(\S+)$`)

// isDumb reports whether a body begins as the file info/refs does.
func isDumb(body io.Reader) bool {
	line, err := bufio.NewReader(body).ReadSlice('\n')
	return err == nil && dumbLine().MatchString(strings.TrimSuffix(string(line), "\n"))
}

// dumbRefs asks a server that only has the repository's files, as git does: for
// the file HEAD, and for info/refs.
func (c *Client) dumbRefs(
	ctx context.Context, remote git.Remote, names []string,
) (refAnswer, error) {
	if !slices.Contains(names, "HEAD") {
		return c.dumbRef(ctx, remote, names)
	}
	resp, err := c.get(ctx, remote, "/HEAD", c.retries)
	if err != nil {
		return refAnswer{}, err
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxPktLen))
	if err != nil {
		return refAnswer{}, bodyError(err)
	}
	content := strings.TrimSpace(string(text))
	target, isSymref := strings.CutPrefix(content, "ref:")
	if !isSymref {
		revision, err := git.ParseRevision(content)
		if err != nil {
			return refAnswer{}, fmt.Errorf("%w: HEAD is %s", ErrInvalidAnswer, quoteAnswer(content))
		}
		return refAnswer{name: "HEAD", revision: revision}, nil
	}
	target = strings.TrimSpace(target)
	answer, err := c.dumbRef(ctx, remote, []string{target})
	if err != nil {
		return refAnswer{}, err
	}
	return refAnswer{name: "HEAD", revision: answer.revision, unborn: !answer.exists(),
		symref: target}, nil
}

// dumbRef reads info/refs up to the first ref that is exactly one of names, and the commit of a
// tag, which follows it.
func (c *Client) dumbRef(
	ctx context.Context, remote git.Remote, names []string,
) (refAnswer, error) {
	resp, err := c.get(ctx, remote, infoRefsPath, c.retries)
	if err != nil {
		return refAnswer{}, err
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	var found refAnswer
	lines := bufio.NewReaderSize(resp.Body, maxPktLen)
	for {
		line, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF) && len(line) == 0:
			return found, nil
		case errors.Is(err, errTooLarge), errors.Is(err, bufio.ErrBufferFull),
			errors.Is(err, io.EOF):
			return refAnswer{}, fmt.Errorf("%w: %w in the list of refs", ErrInvalidAnswer, err)
		case err != nil:
			return refAnswer{}, err
		}
		parts := dumbLine().FindStringSubmatch(strings.TrimSuffix(string(line), "\n"))
		if parts == nil {
			return refAnswer{}, fmt.Errorf("%w: %s isn't a ref", ErrInvalidAnswer,
				quoteAnswer(string(line)))
		}
		switch hex, name := parts[1], parts[2]; {
		case found.exists() && name != found.name+"^{}":
			return found, nil
		case found.exists(), slices.Contains(names, name):
			revision, err := git.ParseRevision(hex)
			if err != nil {
				return refAnswer{}, fmt.Errorf("%w: %s isn't a commit", ErrInvalidAnswer,
					quoteAnswer(hex))
			}
			found = refAnswer{name: name, revision: revision}
		}
	}
}
