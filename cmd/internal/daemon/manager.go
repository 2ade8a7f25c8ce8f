package daemon

import (
	"path/filepath"
	"time"
)

// Manager starts, finds and ends the daemon of one state root.
type Manager struct {
	version string
	lookup  func(string) (string, bool)
	program []string
	root    string
	config  string
	idle    time.Duration
	keep    int64
	notice  func(string)
}

// Option adjusts a Manager.
type Option func(*Manager)

// WithRoot sets the state root. The default is /var/lib/pinion for root, else pinion in
// $XDG_DATA_HOME or ~/.local/share.
func WithRoot(dir string) Option { return func(m *Manager) { m.root = dir } }

// WithIdle sets how long a daemon that is started stays without work; 0 is for ever. The default is
// [DefaultIdle].
func WithIdle(d time.Duration) Option { return func(m *Manager) { m.idle = d } }

// WithKeepStorage sets how many bytes of build cache garbage collection leaves. The default is
// [DefaultKeepStorage].
func WithKeepStorage(bytes int64) Option { return func(m *Manager) { m.keep = bytes } }

// WithConfig names a buildkitd.toml whose registries the daemon uses. The default is
// [DefaultConfig].
func WithConfig(file string) Option { return func(m *Manager) { m.config = file } }

// WithProgram sets the daemon's program and what stands before its arguments. The default is
// pinion-buildkitd, beside this program or on the PATH.
func WithProgram(command ...string) Option { return func(m *Manager) { m.program = command } }

// WithNotice sets who is told what a person should know. The default is nobody.
func WithNotice(f func(string)) Option { return func(m *Manager) { m.notice = f } }

// New makes a Manager. Nothing is read, made or contacted. The version is this pinion's; lookup
// reads the environment, of which PATH, HOME, the XDG folders, and the variables for proxies,
// certificates and languages are used.
func New(version string, lookup func(string) (string, bool), opts ...Option) *Manager {
	m := &Manager{
		version: version, lookup: lookup, idle: DefaultIdle, keep: DefaultKeepStorage,
		config: DefaultConfig,
		notice: func(string) {},
	}
	for _, o := range opts {
		o(m)
	}
	return m
}

func (m *Manager) file(name string) string { return filepath.Join(m.root, name) }

func (m *Manager) get(name string) string {
	v, _ := m.lookup(name)
	return v
}
