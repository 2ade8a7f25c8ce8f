package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	// defaultPiece is the greatest size of a request's body in bytes. Proxies that limit it allow
	// 100 MB (Cloudflare) or less.
	defaultPiece = 16 << 20
	// leastPiece is the size of a piece that is not made smaller.
	leastPiece = 256 << 10
	// mostRequired bounds what a registry can require of the size of a piece.
	mostRequired = 128 << 20
)

var (
	// errLost: the registry does not have what it had taken of a blob, and the blob cannot be read
	// from its beginning.
	errLost = errors.New("the registry lost an upload that was under way")
	errWhat = errors.New("the registry's answer makes no sense")
)

// upload is the upload of one blob in pieces (OCI distribution spec v1.1, "Pushing a blob in
// chunks"). The blob is read once, in its order.
type upload struct {
	*Repository
	desc ocispec.Descriptor
	blob *source
	at   string // where the next request goes
	// offset is how much the registry has. window follows: what was read and may have to be sent
	// once more.
	offset   int64
	window   []byte
	required int // the least size of a piece but for the last
	failures int // in a row
}

// upload sends a blob. An error is a sourceError if the blob cannot be read or is another one, and
// otherwise the registry's.
func (r *Repository) upload(ctx context.Context, desc ocispec.Descriptor, blob io.Reader) error {
	u := &upload{Repository: r, desc: desc, blob: newSource(desc, blob)}
	if err := u.begin(ctx); err != nil {
		return err
	}
	for {
		if err := u.fill(); err != nil {
			return err
		}
		done, err := u.step(ctx)
		if done || err != nil {
			return err
		}
	}
}

// begin opens an upload at the registry.
func (u *upload) begin(ctx context.Context) error {
	resp, err := u.ask(ctx, message{method: http.MethodPost, url: u.url("blobs/uploads/")})
	if err != nil {
		return err
	}
	_ = resp.Body.Close() // it is empty
	u.at = ""
	required, _ := strconv.Atoi(resp.Header.Get("OCI-Chunk-Min-Length")) // without one it is 0
	u.required = min(required, mostRequired)
	return u.follow(resp)
}

// follow takes the place of the next request from an answer.
func (u *upload) follow(resp *http.Response) error {
	place := resp.Header.Get("Location")
	if place == "" && u.at != "" {
		return nil
	}
	at, err := resp.Request.URL.Parse(place)
	if err != nil || place == "" {
		return fmt.Errorf("%w: no place to upload to", errWhat)
	}
	u.at = at.String()
	return nil
}

// size is that of the next pieces.
func (u *upload) size() int { return max(u.piece, u.required) }

// fill reads until the window has a piece, or the rest of the blob.
func (u *upload) fill() error {
	want := int(min(int64(u.size()), u.desc.Size-u.offset))
	if len(u.window) >= want {
		return nil
	}
	if cap(u.buffer) < want {
		u.buffer = make([]byte, u.size())
	}
	have := copy(u.buffer[:want], u.window)
	u.window = u.buffer[:want]
	n, err := io.ReadFull(u.blob, u.window[have:])
	u.window = u.window[:have+n]
	if err != nil {
		return u.blob.failure()
	}
	return nil
}

// step sends the next piece, or ends the upload. It reports whether the blob is there.
func (u *upload) step(ctx context.Context) (done bool, err error) {
	piece := u.window[:min(len(u.window), u.size())]
	end := u.offset + int64(len(piece))
	m := message{method: http.MethodPatch, url: u.at, kind: "application/octet-stream",
		body: windowOf(piece)}
	if end == u.desc.Size && (u.offset == 0 || len(piece) == 0) {
		m.method = http.MethodPut
		if m.url, err = u.last(); err != nil {
			return false, err
		}
	} else {
		m.contentRange = fmt.Sprintf("%d-%d", u.offset, end-1)
	}
	resp, err := u.send(ctx, m)
	if err != nil {
		return u.recover(ctx, m, resp, err)
	}
	_ = resp.Body.Close() // it is empty
	if m.method == http.MethodPut {
		return true, nil
	}
	u.failures = 0
	return false, u.accept(resp, end)
}

// last is the address of the request that ends the upload.
func (u *upload) last() (string, error) {
	at, err := url.Parse(u.at)
	if err != nil {
		return "", err
	}
	query := at.Query()
	query.Set("digest", u.desc.Digest.String())
	at.RawQuery = query.Encode()
	return at.String(), nil
}

// accept takes from an answer what the registry has now, which is sent if the answer does not say.
func (u *upload) accept(resp *http.Response, sent int64) error {
	_, end, ok := strings.Cut(resp.Header.Get("Range"), "-")
	if last, err := strconv.ParseInt(end, 10, 64); ok && err == nil {
		sent = last + 1
		if last == 0 && u.offset == 0 {
			sent = 0 // registries say 0-0 for nothing, too
		}
	}
	skip := sent - u.offset
	if skip < 0 || skip > int64(len(u.window)) {
		return errLost
	}
	u.window, u.offset = u.window[skip:], sent
	return u.follow(resp)
}

// recover decides what follows a request that failed.
func (u *upload) recover(
	ctx context.Context, m message, resp *http.Response, failed error,
) (done bool, err error) {
	status := statusOf(failed)
	switch {
	case status == http.StatusRequestEntityTooLarge && u.shrink(len(m.body.window)):
		return false, nil
	case m.method == http.MethodPatch && noPatch(failed) && u.offset == 0:
		return true, u.whole(ctx)
	case !passes(ctx, failed) && status != http.StatusRequestedRangeNotSatisfiable &&
		!isLost(failed):
		return false, failed
	}
	if u.failures++; u.failures >= mostFailures {
		return false, failed
	}
	if status == 0 {
		u.shrink(len(m.body.window)) // some proxies end the connection of what is too large
	}
	if err := pause(ctx, u.failures, resp); err != nil {
		return false, err
	}
	return u.resume(ctx)
}

// shrink makes pieces half as large as one that was refused, and reports whether it could.
func (u *upload) shrink(refused int) bool {
	half := refused / 2
	if half < leastPiece || half < u.required {
		return false
	}
	u.piece = min(u.piece, half)
	return true
}

// noPatch reports whether a registry takes no pieces.
func noPatch(err error) bool {
	answer, ok := errors.AsType[*answerError](err)
	return ok && (answer.status == http.StatusMethodNotAllowed ||
		answer.status == http.StatusNotImplemented || slices.Contains(answer.codes, "UNSUPPORTED"))
}

// isLost reports whether a registry does not know an upload that it began, such as one of several
// that share no memory.
func isLost(err error) bool {
	answer, ok := errors.AsType[*answerError](err)
	return ok && answer.status == http.StatusNotFound &&
		slices.Contains(answer.codes, "BLOB_UPLOAD_UNKNOWN")
}

// resume asks the registry what it has. A request that ended an upload may have come to its end
// although its answer was lost.
func (u *upload) resume(ctx context.Context) (done bool, err error) {
	resp, err := u.ask(ctx, message{method: http.MethodGet, url: u.at})
	if err == nil {
		_ = resp.Body.Close() // it is empty
		return false, u.accept(resp, u.offset)
	}
	if status := statusOf(err); status == 0 || isTransient(status) {
		return false, err
	}
	if there, err := u.has(ctx, u.desc.Digest); there || err != nil {
		return there, err
	}
	if u.offset > 0 {
		return false, errLost
	}
	return false, u.begin(ctx)
}

// whole sends the blob in one request.
func (u *upload) whole(ctx context.Context) error {
	if err := u.begin(ctx); err != nil {
		return err
	}
	at, err := u.last()
	if err != nil {
		return err
	}
	resp, err := u.send(ctx, message{method: http.MethodPut, url: at,
		kind: "application/octet-stream", body: &body{size: u.desc.Size,
			stream: io.MultiReader(bytes.NewReader(u.window), u.blob)}})
	if broken := u.blob.failure(); broken != nil {
		err = broken
	}
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
