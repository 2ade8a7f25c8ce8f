package git

// ObjectFormat is the hash function that a repository names its objects with,
// as Git's object-format capability spells it (gitprotocol-v2).
type ObjectFormat string

const (
	// SHA1 is the format of nearly every repository: 40 hex digits.
	SHA1 ObjectFormat = "sha1"
	// SHA256 is the newer format: 64 hex digits.
	SHA256 ObjectFormat = "sha256"
)

const (
	sha1Digits   = 40
	sha256Digits = 64
	shortDigits  = 12
)

// Digits returns how many hex digits an object's name has.
func (f ObjectFormat) Digits() int {
	if f == SHA256 {
		return sha256Digits
	}
	return sha1Digits
}

// Revision is the full name of one commit. It is comparable; the zero value is
// no revision, and every other value came from ParseRevision.
type Revision struct{ hex string }

// ParseRevision takes exactly 40 or 64 lower-case hex digits that aren't all
// zero. Anything else is an ErrInvalid: BuildKit takes a short or upper-case
// name for a ref, which would follow a moving branch.
func ParseRevision(s string) (Revision, error) {
	if len(s) != sha1Digits && len(s) != sha256Digits {
		return Revision{}, invalid("revision", s, "give the full commit name, 40 or 64 hex digits")
	}
	zero := true
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return Revision{}, invalid("revision", s,
				"only the digits 0-9 and a-f in lower case are allowed")
		}
		zero = zero && c == '0'
	}
	if zero {
		return Revision{}, invalid("revision", s, "the all-zero name stands for no commit")
	}
	return Revision{hex: s}, nil
}

// String returns the full lower-case hex name, "" for the zero value.
func (r Revision) String() string { return r.hex }

// Short returns the first 12 digits, "" for the zero value.
func (r Revision) Short() string {
	if r.IsZero() {
		return ""
	}
	return r.hex[:shortDigits]
}

// Format returns the object format by the length, "" for the zero value.
func (r Revision) Format() ObjectFormat {
	switch len(r.hex) {
	case sha1Digits:
		return SHA1
	case sha256Digits:
		return SHA256
	default:
		return ""
	}
}

// IsZero reports whether r is the zero value, which names no commit.
func (r Revision) IsZero() bool { return r.hex == "" }

// MarshalText returns String.
func (r Revision) MarshalText() ([]byte, error) { return []byte(r.hex), nil }

// UnmarshalText is ParseRevision, except that an empty text gives the zero
// value, which MarshalText writes so.
func (r *Revision) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*r = Revision{}
		return nil
	}
	parsed, err := ParseRevision(string(text))
	if err != nil {
		return err
	}
	*r = parsed
	return nil
}
