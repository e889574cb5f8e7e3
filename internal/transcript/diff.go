package transcript

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// diff shows two texts as one, lines only in a marked with -, lines only in b
// with +. It takes time and space proportional to the product of the lengths,
// which is fine for what a person wrote.
func diff(a, b []string) string {
	if len(a)*len(b) > 4e6 {
		return indent("- ", a) + "\n" + indent("+ ", b)
	}
	// common[i][j] is the length of the longest common subsequence of a[i:]
	// and b[j:].
	common := make([][]int, len(a)+1)
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i, v := range slices.Backward(a) {
		for j := len(b) - 1; j >= 0; j-- {
			if v == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var out []string
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			out = append(out, "  "+cut(a[i]))
			i++
			j++
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			out = append(out, "- "+cut(a[i]))
			i++
		default:
			out = append(out, "+ "+cut(b[j]))
			j++
		}
	}
	return strings.Join(out, "\n")
}

// cut keeps one enormous line from drowning a report.
func cut(line string) string {
	const limit = 400
	if len(line) <= limit {
		return line
	}
	end := limit
	for !utf8.RuneStart(line[end]) {
		end--
	}
	return fmt.Sprintf("%s… (%d bytes)", line[:end], len(line))
}
