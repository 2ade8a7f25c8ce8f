package serve

import (
	"os"
	"sync"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/daemon"
)

// maxLog is the size in bytes at which the log is rotated. One old log is kept, so the total is at
// most twice that.
const maxLog = 8 << 20

// rotatingLog is a log file of bounded size.
type rotatingLog struct {
	path string
	max  int64

	mu   sync.Mutex
	file *os.File
	size int64
}

func openLog(path string) (*rotatingLog, error) {
	l := &rotatingLog{path: path, max: maxLog}
	return l, l.open()
}

func (l *rotatingLog) open() error {
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	l.file, l.size = f, info.Size()
	return nil
}

// Write never fails: a daemon continues without a log if the disk is full.
func (l *rotatingLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size > 0 && l.size+int64(len(p)) > l.max {
		l.rotate()
	}
	if l.file != nil {
		n, _ := l.file.Write(p)
		l.size += int64(n)
	}
	return len(p), nil
}

func (l *rotatingLog) rotate() {
	if l.file != nil {
		l.file.Close()
		l.file = nil
	}
	if err := os.Rename(l.path, daemon.OldLog(l.path)); err != nil {
		_ = os.Truncate(l.path, 0)
	}
	_ = l.open()
}
