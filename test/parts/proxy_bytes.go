package parts

import (
	"net/http"
	"sync/atomic"
)

// counted counts the bytes of an answer's body, as they go over the wire.
type counted struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (c counted) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.n.Add(int64(n))
	return n, err
}

// Unwrap lets net/http flush and upgrade the connection.
func (c counted) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// Bytes is the size of all answers' bodies since the start or the last Reset. What an upgraded
// connection carries is not in it.
func (p *Proxy) Bytes() int64 { return p.bytes.Load() }
