package resolver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

const (
	infoRefsPath  = "/info/refs"
	service       = "git-upload-pack"
	advertiseType = "application/x-git-upload-pack-advertisement"
)

// advert is a server's answer to discovery.
type advert struct {
	protocol Protocol
	format   git.ObjectFormat
	answer   refAnswer // only of version 0 and 1, which list the refs at once
}

// advertisement makes the discovery request (gitprotocol-http), which asks for
// version 2 and is answered in any. A list of refs is read up to the first that
// is exactly one of names, one line at a time.
func (c *Client) advertisement(
	ctx context.Context, remote git.Remote, names []string, retries int,
) (advert, error) {
	resp, err := c.get(ctx, remote, infoRefsPath+"?service="+service, retries)
	if err != nil {
		return advert{}, err
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	if err := requireType(resp, advertiseType); err != nil {
		if isDumb(resp.Body) {
			return advert{protocol: ProtocolDumb}, nil
		}
		return advert{}, err
	}
	ad, err := readAdvert(resp.Body, names)
	if err != nil && errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: the advertisement has no end", ErrInvalidAnswer)
	}
	return ad, err
}

// get asks for a file of a repository, as git does, and returns an answer with status 200.
func (c *Client) get(
	ctx context.Context, remote git.Remote, path string, retries int,
) (*http.Response, error) {
	resp, err := c.sendRetrying(ctx, retries, maxAdvertised, func() (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, remote.GitURL()+path, nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Accept", "*/*")
		req.Header.Set("Git-Protocol", "version=2")
		c.sign(req, remote)
		return req, nil
	})
	if err != nil {
		return nil, err
	}
	return requireOK(resp, remote)
}

// readAdvert reads an advertisement of any version. The error is io.EOF if it
// ends between two lines.
func readAdvert(r io.Reader, names []string) (advert, error) {
	lines := &advertLines{in: newPktReader(r)}
	line, err := lines.next()
	if err == nil && strings.HasPrefix(line, "# service=") {
		if line != "# service="+service {
			return advert{}, fmt.Errorf("%w: %s", ErrInvalidAnswer, quoteAnswer(line))
		}
		if line, err = lines.next(); err == nil && line == "" {
			line, err = lines.next()
		}
	}
	if err != nil {
		return advert{}, err
	}
	switch line {
	case "version 2":
		return readCapabilities(lines)
	case "version 1":
		if line, err = lines.next(); err != nil {
			return advert{}, err
		}
	}
	return readAdvertised(lines, line, names)
}

// readCapabilities reads what a server of version 2 says that it can do.
func readCapabilities(lines *advertLines) (advert, error) {
	ad := advert{protocol: ProtocolV2Plain, format: git.SHA1}
	for {
		line, err := lines.next()
		if err != nil {
			return advert{}, err
		}
		if line == "" {
			return ad, nil
		}
		key, value, _ := strings.Cut(line, "=")
		switch key {
		case "ls-refs":
			if slices.Contains(strings.Fields(value), "unborn") {
				ad.protocol = ProtocolV2
			}
		case "object-format":
			if ad.format, err = parseFormat(value); err != nil {
				return advert{}, err
			}
		}
	}
}

// readAdvertised reads the refs of version 0 or 1 from the first line on, which
// also has the capabilities.
func readAdvertised(lines *advertLines, line string, names []string) (advert, error) {
	line, capabilities, _ := strings.Cut(line, "\x00")
	ad := advert{protocol: ProtocolV1, format: git.SHA1}
	symref := ""
	for capability := range strings.FieldsSeq(capabilities) {
		key, value, _ := strings.Cut(capability, "=")
		var err error
		switch target, isHEAD := strings.CutPrefix(value, "HEAD:"); {
		case key == "symref" && isHEAD:
			symref = target
		case key == "object-format":
			if ad.format, err = parseFormat(value); err != nil {
				return advert{}, err
			}
		}
	}
	for found := false; line != ""; {
		hex, name, ok := strings.Cut(line, " ")
		isWanted := slices.Contains(names, name)
		switch {
		case ok && hex == "shallow":
		case name == "" || len(hex) != ad.format.Digits():
			return advert{}, fmt.Errorf("%w: %s isn't a ref", ErrInvalidAnswer, quoteAnswer(line))
		case name == "capabilities^{}":
		case found && name == ad.answer.name+"^{}", !found && isWanted:
			revision, err := parseObject(hex, ad.format)
			if err != nil {
				return advert{}, fmt.Errorf("%w: %w", ErrInvalidAnswer, err)
			}
			ad.answer.revision = revision
			if found {
				return ad, nil
			}
			found, ad.answer.name = true, name
			if name == "HEAD" {
				ad.answer.symref = symref
			}
		case found: // not an annotated tag
			return ad, nil
		}
		var err error
		if line, err = lines.next(); err != nil {
			return advert{}, err
		}
	}
	lines.in.finish()
	return ad, nil
}

func parseFormat(s string) (git.ObjectFormat, error) {
	switch format := git.ObjectFormat(s); format {
	case git.SHA1, git.SHA256:
		return format, nil
	}
	return "", fmt.Errorf("%w: the object format %s", ErrInvalidAnswer, quoteAnswer(s))
}

// advertLines are the lines of an advertisement.
type advertLines struct{ in *pktReader }

// next returns a line without its end, "" for a flush. An empty line is malformed.
func (l *advertLines) next() (string, error) {
	payload, mark, err := l.in.next()
	switch {
	case errors.Is(err, io.EOF):
		return "", err
	case err != nil:
		return "", bodyError(err)
	case mark == pktFlush:
		return "", nil
	case mark >= 0:
		return "", fmt.Errorf("%w: a mark %04d in the advertisement", ErrInvalidAnswer, mark)
	}
	if message, isError := bytes.CutPrefix(payload, []byte("ERR ")); isError {
		return "", fmt.Errorf("%w: it says %s", errRefused,
			quoteAnswer(strings.TrimSpace(string(message))))
	}
	line := strings.TrimSuffix(string(payload), "\n")
	if line == "" {
		return "", fmt.Errorf("%w: an empty line in the advertisement", ErrInvalidAnswer)
	}
	return line, nil
}
