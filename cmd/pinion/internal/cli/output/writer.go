package output

import "io"

// CleanWriter passes text through Clean before it writes it to W.
type CleanWriter struct {
	W     io.Writer
	Clean func(string) string
}

// Write implements io.Writer.
func (c CleanWriter) Write(p []byte) (int, error) {
	if _, err := io.WriteString(c.W, c.Clean(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}
