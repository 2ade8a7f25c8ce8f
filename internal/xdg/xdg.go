// Package xdg finds a user's folders as the XDG Base Directory Specification has them.
//
// It guarantees that a path is absolute where the environment gives an absolute home, and that
// nothing but the lookup is read. It does not check that a folder exists or who owns it.
package xdg

import "path/filepath"

// Lookup returns the value of an environment variable and reports whether it is set, as
// os.LookupEnv does.
type Lookup func(name string) (value string, ok bool)

// ConfigFile returns a path below $XDG_CONFIG_HOME, or below ~/.config by default. It is "" if
// there is no home folder.
func ConfigFile(lookup Lookup, elem ...string) string {
	return below(lookup, "XDG_CONFIG_HOME", ".config", elem)
}

// CacheDir returns a path below $XDG_CACHE_HOME, or below ~/.cache by default. It is "" if there is
// no home folder.
func CacheDir(lookup Lookup, elem ...string) string {
	return below(lookup, "XDG_CACHE_HOME", ".cache", elem)
}

// StateDir returns a path below $XDG_STATE_HOME, or below ~/.local/state by default. It is "" if
// there is no home folder.
func StateDir(lookup Lookup, elem ...string) string {
	return below(lookup, "XDG_STATE_HOME", filepath.Join(".local", "state"), elem)
}

// Home returns the user's home folder from HOME or USERPROFILE, or "" if neither is set.
func Home(lookup Lookup) string {
	if home, _ := lookup("HOME"); home != "" {
		return home
	}
	home, _ := lookup("USERPROFILE")
	return home
}

// below ignores a base folder that is not absolute, as the specification demands.
func below(lookup Lookup, variable, fallback string, elem []string) string {
	base, _ := lookup(variable)
	if !filepath.IsAbs(base) {
		home := Home(lookup)
		if home == "" {
			return ""
		}
		base = filepath.Join(home, fallback)
	}
	return filepath.Join(append([]string{base}, elem...)...)
}
