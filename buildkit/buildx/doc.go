// Package buildx finds the builder that a user of Docker's buildx has chosen.
//
// It reads buildx's own files and promises to change none of them: what `docker buildx ls` shows is
// the same before and after. Whether a builder runs is not in the files; that is for whoever dials
// it.
//
// The formats are those of buildx 0.38 (its packages store and util/confutil), which earlier and
// later versions share as far as they are read here. Fields that are not known are ignored.
package buildx
