// Package stdio makes a connection out of the standard streams of a command that proxies to a
// server, as `buildctl dial-stdio` and `docker buildx dial-stdio` do.
//
// It guarantees that the error at the end of the stream has what the command wrote to stderr, up to
// a bound. It does not support deadlines: they are accepted and have no effect.
package stdio

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// maxStderr bounds how much of the command's stderr an error repeats, in bytes.
const maxStderr = 4 << 10

// Conn is a [net.Conn] to a command. Its errors include what the command wrote to stderr.
type Conn struct {
	name string
	in   io.Writer
	out  io.Reader
	end  func() error

	mu     sync.Mutex
	stderr bytes.Buffer
}

// New returns a Conn that writes to a command's stdin and reads from its stdout. end ends the
// command; it is called once.
func New(name string, in io.Writer, out io.Reader, end func() error) *Conn {
	return &Conn{name: name, in: in, out: out, end: sync.OnceValue(end)}
}

// Stderr returns the writer for the command's stderr.
func (c *Conn) Stderr() io.Writer { return stderrWriter{c} }

type stderrWriter struct{ *Conn }

// Write implements io.Writer. It drops what exceeds the bound.
func (c stderrWriter) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stderr.Write(p[:min(len(p), maxStderr-c.stderr.Len())])
	return len(p), nil
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.out.Read(p)
	return n, c.explain(err)
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.in.Write(p)
	return n, c.explain(err)
}

// explain adds what the command wrote to stderr.
func (c *Conn) explain(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	message := bytes.TrimSpace(c.stderr.Bytes())
	if err == nil || len(message) == 0 {
		return err
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%s: %s: %w", c.name, message, err)
}

// Close implements net.Conn.
func (c *Conn) Close() error { return c.end() }

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return addr(c.name) }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return addr(c.name) }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(time.Time) error { return nil }

type addr string

func (addr) Network() string  { return "stdio" }
func (a addr) String() string { return string(a) }
