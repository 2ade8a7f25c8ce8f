package pinion

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"unicode"
	"unicode/utf8"
)

// reservedLabels are this package's own, and those that it may give a meaning one day.
const reservedLabels = "app.moleculesai.pinion."

// Label puts one more label on the image. It is part of what the image is made of: the image has a
// key and a tag of its own, <commit>.<digest of all labels>, and is a hit for those alone who ask
// for the same labels. The last value of a key counts. [LabelSource], [LabelRevision] and Pinion's
// own are refused.
func Label(key, value string) EnsureOption {
	return func(a *ask) {
		a.labels = maps.Clone(a.labels)
		if a.labels == nil {
			a.labels = map[string]string{}
		}
		a.labels[key] = value
	}
}

// checkLabels refuses what would forge an image's origin, and what no two programs would read in
// the same way.
func checkLabels(labels map[string]string) error {
	for k, v := range labels {
		switch {
		case k == LabelSource, k == LabelRevision, strings.HasPrefix(k, reservedLabels):
			return fmt.Errorf("%w: the label %s says where the image comes from, and is Pinion's "+
				"to give", ErrInvalidInput, k)
		case k == "", strings.ContainsFunc(k, func(r rune) bool {
			return unicode.IsSpace(r) || unicode.IsControl(r) || r == '='
		}):
			return fmt.Errorf("%w: label %q: a label's key holds no blanks, control characters "+
				"or =, and is not empty", ErrInvalidInput, k)
		case !utf8.ValidString(k), !utf8.ValidString(v), strings.ContainsRune(v, 0):
			return fmt.Errorf("%w: label %q: keys and values are UTF-8 without NUL",
				ErrInvalidInput, k)
		}
	}
	return nil
}

// labelled is the recipe with labels that somebody asked for.
func (r recipe) labelled(labels map[string]string) recipe {
	r.Labels = labels
	return r
}

// variant keeps images with other labels and attestations apart in the tag. What stands before it
// has a fixed length, and what stands behind begins with a dash.
func (r recipe) variant() string {
	attested := ""
	if r.Provenance != "" {
		attested = ".provenance-" + r.Provenance
	}
	if len(r.Labels) == 0 {
		return attested
	}
	b, err := json.Marshal(r.Labels) // which sorts the keys
	if err != nil {
		panic(err) // strings always marshal
	}
	sum := sha256.Sum256(b)
	return "." + hex.EncodeToString(sum[:6]) + attested
}
