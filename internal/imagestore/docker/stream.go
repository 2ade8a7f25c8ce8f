package docker

import (
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/moby/moby/api/types/jsonstream"
)

// message is one JSON object of the streams that load and pull answer with.
type message struct {
	jsonstream.Message
	// ErrorText is the older form of errorDetail; engines send both.
	ErrorText string `json:"error"`
}

// streamError is an error that came inside a stream answered with 200.
type streamError struct {
	code int // HTTP status code, or 0
	text string
}

func (e *streamError) Error() string { return e.text }

// unpackFailure starts the line with which an engine with a containerd store reports that an image
// is imported but cannot be run. The engine leaves the tag and answers success (moby,
// daemon/containerd/image_exporter.go). Only this text shows the failure.
const unpackFailure = "Error unpacking"

// readStream reads all messages, passes each to see, and returns the first error among them. A
// stream that ends within a message is io.ErrUnexpectedEOF.
func readStream(r io.Reader, see func(message)) error {
	dec := json.NewDecoder(r)
	for {
		var m message
		if err := dec.Decode(&m); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := m.failure(); err != nil {
			return err
		}
		see(m)
	}
}

func (m message) failure() error {
	switch {
	case m.Error != nil:
		return &streamError{code: m.Error.Code, text: m.Error.Message}
	case m.ErrorText != "":
		return &streamError{text: m.ErrorText}
	}
	for line := range strings.Lines(m.Stream) {
		if strings.HasPrefix(line, unpackFailure) {
			return &streamError{text: strings.TrimSpace(line)}
		}
	}
	return nil
}
