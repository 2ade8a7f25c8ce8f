package daemon

import (
	"os"
	"path/filepath"
	"time"
)

// Manager starts, finds and stops the daemon of one state root. It is safe for concurrent use.
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

// WithRoot sets the state root. The default is /var/lib/pinion for root, otherwise pinion
// in $XDG_DATA_HOME or ~/.local/share.
func WithRoot(dir string) Option { return func(m *Manager) { m.root = dir } }

// WithIdle sets the idle time after which a new daemon exits. 0 means never. The default is
// [DefaultIdle].
func WithIdle(d time.Duration) Option { return func(m *Manager) { m.idle = d } }

// WithKeepStorage sets the size in bytes to which garbage collection trims the build cache. The
// default is [DefaultKeepStorage].
func WithKeepStorage(bytes int64) Option { return func(m *Manager) { m.keep = bytes } }

// WithConfig names a buildkitd.toml whose registries the daemon uses. The default is
// [DefaultConfig].
func WithConfig(file string) Option { return func(m *Manager) { m.config = file } }

// WithProgram sets the daemon's program and its first arguments. The default is pinion-buildkitd,
// beside this program or on the PATH.
func WithProgram(command ...string) Option { return func(m *Manager) { m.program = command } }

// WithNotice sets the function that receives notices for the user. The default discards them.
func WithNotice(f func(string)) Option { return func(m *Manager) { m.notice = f } }

// New makes a Manager. It reads and creates no file and makes no connection. version is the version
// of this pinion. lookup reads the environment: PATH, HOME, the XDG folders, and the variables for
// proxies, certificates and languages.
func New(version string, lookup func(string) (string, bool), opts ...Option) *Manager {
	m := &Manager{
		version: version, lookup: lookup, idle: DefaultIdle, keep: DefaultKeepStorage,
		config: DefaultConfig,
		notice: func(string) {},
	}
	for _, o := range opts {
		o(m)
	}
	if m.root == "" {
		m.root = m.defaultRoot()
	}
	if filepath.IsAbs(m.root) {
		m.root = filepath.Clean(m.root)
	}
	return m
}

// defaultRoot returns "" if the environment names no folder.
func (m *Manager) defaultRoot() string {
	if os.Geteuid() == 0 {
		return "/var/lib/pinion"
	}
	if data := m.get("XDG_DATA_HOME"); filepath.IsAbs(data) {
		return filepath.Join(data, "pinion")
	}
	if home := m.get("HOME"); home != "" {
		return filepath.Join(home, ".local", "share", "pinion")
	}
	return ""
}

func (m *Manager) file(name string) string { return filepath.Join(m.root, name) }

func (m *Manager) get(name string) string {
	v, _ := m.lookup(name)
	return v
}
