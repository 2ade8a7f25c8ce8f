// Package disktest has small disks for tests, fills them, and forbids what is on them.
package disktest
