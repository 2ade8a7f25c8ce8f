// Package output writes results: JSON, tables, sizes and files.
package output
