package output

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	units "github.com/docker/go-units"
)

// Table writes rows under a head as docker does: capitals, three spaces between columns.
func Table(w io.Writer, head []string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	for _, row := range append([][]string{head}, rows...) {
		cells := make([]string, len(row))
		for i, cell := range row {
			// A tab or a newline in a cell would break the table.
			cells[i] = strings.Join(strings.Fields(cell), " ")
		}
		if _, err := fmt.Fprintln(t, strings.Join(cells, "\t")); err != nil {
			return err
		}
	}
	return t.Flush()
}

// Fields writes one line for each pair of a name and a value, with the values in the given column.
func Fields(w io.Writer, column int, fields [][2]string) error {
	for _, f := range fields {
		if _, err := fmt.Fprintf(w, "%-*s%s\n", column, f[0]+":", f[1]); err != nil {
			return err
		}
	}
	return nil
}

// Size returns a number of bytes with three digits and a decimal unit, for example 1.23GB.
func Size(bytes int64) string { return units.HumanSizeWithPrecision(float64(bytes), 3) }
