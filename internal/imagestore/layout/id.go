package layout

import (
	"crypto/rand"
	"io"
	"strings"
)

// idFile holds a random text that distinguishes the layout from another one at the same path, such
// as the empty folder where a disk is not mounted.
const idFile = privateDir + "/id"

// id returns the layout's identity, "" if it has none yet.
func (l *Layout) id() string {
	body, err := l.readBounded(idFile, 100)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(body))
}

// makeID gives the layout an identity if it has none. It is best effort, and the caller holds
// indexLock.
func (l *Layout) makeID() {
	if l.id() != "" {
		return
	}
	_ = l.writeFile(idFile, func(w io.Writer) error {
		_, err := io.WriteString(w, rand.Text()+"\n")
		return err
	})
}
