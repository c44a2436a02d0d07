package jobs

import (
	"fmt"
	"strconv"
)

func count(n int64) string { return strconv.FormatInt(n, 10) }

// plural says 1 file, 2 files.
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
