// Package buildx finds the builders of Docker's buildx, and has the format of bake.
//
// It guarantees that the user's files stay as they are: what `docker buildx ls` shows is the same
// before and after. The plugin, which writes into
// them, gets a copy.
//
// It does not guarantee that a builder runs, which the files do not say. The caller finds out when
// it connects.
//
// The formats are those of buildx 0.38 (its packages store and util/confutil). Other versions have
// the same fields as far as this package reads them. It ignores unknown fields.
package buildx
