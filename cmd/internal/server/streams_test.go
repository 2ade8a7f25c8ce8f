package server

import (
	"bufio"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion"
)

// BenchmarkStreams: event streams of one build, over connections of their own. The memory is that
// of both ends; the time is for one event to all of them, by streams.
func BenchmarkStreams(b *testing.B) {
	for _, streams := range []int{100, 1000} {
		b.Run(fmt.Sprint(streams), func(b *testing.B) {
			s := newStage(b)
			path, build := s.begun(b, "made")
			before := inUse()
			var all []*bufio.Reader
			for range streams {
				conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { _ = conn.Close() }) // the server has ended it
				if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n",
					path); err != nil {
					b.Fatal(err)
				}
				all = append(all, bufio.NewReaderSize(conn, 16))
			}
			skip(b, all, "event: resolved")
			memory := inUse() - before
			for b.Loop() {
				build.emit(pinion.Event{Type: pinion.EventLog, Text: "line"})
				skip(b, all, "event: log")
			}
			b.ReportMetric(memory/float64(streams), "B/item")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(streams),
				"ns/item")
			build.finish()
		})
	}
}

// skip reads all streams up to a line.
func skip(b *testing.B, all []*bufio.Reader, line string) {
	b.Helper()
	var done sync.WaitGroup
	for _, in := range all {
		done.Go(func() {
			for {
				got, err := in.ReadString('\n')
				if err != nil {
					b.Errorf("before %q: %v", line, err)
					return
				}
				if strings.TrimSpace(got) == line {
					return
				}
			}
		})
	}
	done.Wait()
}

// inUse is the size of what is reachable, with the stacks of goroutines, in bytes.
func inUse() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}
