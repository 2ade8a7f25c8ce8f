// Package disktest has small disks for tests, and fills them.
package disktest
