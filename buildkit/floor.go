package buildkit

import (
	"fmt"
	"strconv"
	"strings"
)

// floor is the oldest standalone buildkitd without a known advisory: 0.31.2 fixed five, among them
// CVE-2026-33747 (frontend images) and CVE-2026-33748 (symlinked git subdirs).
var floor = [3]int{0, 31, 2}

// engineFloor is the first Docker engine whose BuildKit and runc fix CVE-2024-21626,
// CVE-2024-23651, CVE-2024-23652 and CVE-2024-23653 (25.0.2).
var engineFloor = [3]int{25, 0, 2}

// Floor returns which advisories a builder is too old to be safe from, or "" if none is known. Such
// a builder works, but a malicious template could exploit it.
func Floor(i Info) string {
	raw, least, advisories := i.Version, floor, "CVE-2026-33747, CVE-2026-33748"
	if i.Kind == KindDocker {
		least, advisories = engineFloor,
			"CVE-2024-21626, CVE-2024-23651, CVE-2024-23652, CVE-2024-23653"
		raw = i.Engine
	}
	v, ok := parseVersion(raw)
	switch {
	case !ok:
		return fmt.Sprintf("its version %q is not known; %s or later is without known advisories",
			raw, dotted(least))
	case less(v, least):
		return fmt.Sprintf("older than %s, which fixes %s", dotted(least), advisories)
	}
	return ""
}

// parseVersion reads the leading numbers of "v0.34.2", "20.10.24+dfsg1" or "29.0.0-rc.1".
func parseVersion(s string) (v [3]int, ok bool) {
	parts := strings.SplitN(strings.TrimPrefix(s, "v"), ".", 3)
	for i, p := range parts {
		end := strings.IndexFunc(p, func(r rune) bool { return r < '0' || r > '9' })
		if end >= 0 {
			p = p[:end]
		}
		n, err := strconv.Atoi(p)
		if err != nil {
			return v, false
		}
		v[i] = n
	}
	return v, len(parts) == 3
}

func less(a, b [3]int) bool {
	for i := range a {
		if a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return false
}

func dotted(v [3]int) string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }

// buildxFloor is the first buildx without a known advisory: 0.21.3 keeps credentials of cache
// backends out of traces and of the builder's history (CVE-2025-0495).
var buildxFloor = [3]int{0, 21, 3}

// FloorBuildx returns which advisory a buildx plugin is too old to be safe from, or "" if none is
// known.
func FloorBuildx(version string) string {
	v, ok := parseVersion(version)
	switch {
	case !ok:
		return fmt.Sprintf("its version %q is not known; %s or later is without known advisories",
			version, dotted(buildxFloor))
	case less(v, buildxFloor):
		return fmt.Sprintf("older than %s, which fixes CVE-2025-0495", dotted(buildxFloor))
	}
	return ""
}
