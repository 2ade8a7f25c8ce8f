package stdio_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/stdio"
)

func TestConn(t *testing.T) {
	there, here := io.Pipe()
	back, answer := io.Pipe()
	closed := 0
	var c net.Conn = stdio.New("proxy", here, back, func() error { closed++; return here.Close() })
	go func() {
		_, _ = io.Copy(answer, there)
		answer.Close()
	}()
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 5)
	if _, err := io.ReadFull(c, buf); err != nil || string(buf) != "hello" {
		t.Errorf("got %q, %v", buf, err)
	}
	for range 2 {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := c.Read(buf); !errors.Is(err, io.EOF) || closed != 1 {
		t.Errorf("got %v, closed %d times", err, closed)
	}
}

func TestComplaintIsTheReason(t *testing.T) {
	c := stdio.New("proxy", io.Discard, strings.NewReader(""), func() error { return nil })
	for range 10_000 {
		if n, err := c.Stderr().Write([]byte("no server\n")); n != 10 || err != nil {
			t.Fatal(n, err)
		}
	}
	_, err := c.Read(make([]byte, 1))
	if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "proxy: no server") ||
		len(err.Error()) > 5_000 {
		t.Errorf("got %v", err)
	}
}
