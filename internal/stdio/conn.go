// Package stdio makes a connection of the standard streams of a command that proxies to a server,
// as `buildctl dial-stdio` and `docker buildx dial-stdio` do. Deadlines are not supported: they are
// accepted and have no effect.
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

// maxComplaint bounds in bytes what is kept of what the command writes to stderr.
const maxComplaint = 4 << 10

// Conn is a [net.Conn] to a command. What the command complains of is part of the error with which
// reading ends.
type Conn struct {
	name string
	in   io.Writer
	out  io.Reader
	end  func() error

	mu        sync.Mutex
	complaint bytes.Buffer
}

// New joins a command's stdin and stdout. end ends the command; it is called once.
func New(name string, in io.Writer, out io.Reader, end func() error) *Conn {
	return &Conn{name: name, in: in, out: out, end: sync.OnceValue(end)}
}

// Stderr is where the command's complaints go.
func (c *Conn) Stderr() io.Writer { return complaints{c} }

type complaints struct{ *Conn }

func (c complaints) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.complaint.Write(p[:min(len(p), maxComplaint-c.complaint.Len())])
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

func (c *Conn) explain(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	said := bytes.TrimSpace(c.complaint.Bytes())
	if err == nil || len(said) == 0 {
		return err
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%s: %s: %w", c.name, said, err)
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
