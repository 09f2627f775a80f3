package command

import (
	"errors"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Split cuts a command line into words as a POSIX shell does (single quotes, double quotes,
// backslash), without expansions or comments. raw holds each word as it was typed: ssh joins
// its arguments with blanks, so the quotes around a string of a filter may be all that tells
// it from a name.
func Split(line string) (words, raw []string, err error) {
	var word strings.Builder
	start, quote := -1, byte(0)
	for i := 0; i < len(line); i++ {
		c := line[i]
		blank := c == ' ' || c == '\t' || c == '\n' || c == '\r'
		if start < 0 {
			if blank {
				continue
			}
			start = i
		}
		switch {
		case quote == 0 && blank:
			words, raw = append(words, word.String()), append(raw, line[start:i])
			word.Reset()
			start = -1
		case quote == 0 && (c == '\'' || c == '"'):
			quote = c
		case c == quote && quote != 0:
			quote = 0
		case c == '\\' && quote != '\'':
			if i+1 == len(line) {
				return nil, nil, errors.New("the command line ends in a backslash")
			}
			i++
			// Between double quotes a backslash stands for itself before most characters.
			if quote == '"' && !strings.ContainsRune("\"\\$`\n", rune(line[i])) {
				word.WriteByte('\\')
			}
			word.WriteByte(line[i])
		default:
			word.WriteByte(c)
		}
	}
	if quote != 0 {
		return nil, nil, errors.New("a quote in the command line is not closed")
	}
	if start >= 0 {
		words, raw = append(words, word.String()), append(raw, line[start:])
	}
	return words, raw, nil
}

// operand stands before a filter's negative number, so that it is not taken for a flag.
const operand = "\ue000"

var (
	negative = regexp.MustCompile(`^-[0-9]`)
	operator = regexp.MustCompile(`([=<>!+*/%(,\[-]|\bin)$`)
	date     = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)
	clock    = regexp.MustCompile(`^[0-9]{1,2}:[0-9]{2}`)
	timeFlag = regexp.MustCompile(`^--(since|until)(=.*)?$`)
	dumper   = regexp.MustCompile(`^/[^ ]*/(tcpdump|dumpcap)$`)
)

// mend puts together what ssh's blanks took apart: a date and its time of day behind --since
// and --until, and marks the negative numbers of a filter.
func mend(args, raw []string) (words, typed []string) {
	for i, a := range args {
		last := len(words) - 1
		switch {
		case i == 0 && dumper.MatchString(a): // Wireshark lets one say where it is
			a = path.Base(a)
		case last >= 0 && clock.MatchString(a) && isDate(words):
			words[last] += " " + a
			typed[last] += " " + raw[i]
			continue
		case last >= 0 && negative.MatchString(a) && operator.MatchString(words[last]) && !strings.HasPrefix(words[last], "-"):
			a = operand + a
		}
		words, typed = append(words, a), append(typed, raw[i])
	}
	return words, typed
}

// isDate says whether the last word is the date of a --since or --until.
func isDate(words []string) bool {
	n := len(words) - 1
	if flag, value, ok := strings.Cut(words[n], "="); ok {
		return timeFlag.MatchString(flag) && date.MatchString(value)
	}
	return n > 0 && date.MatchString(words[n]) && timeFlag.MatchString(words[n-1]) && !strings.Contains(words[n-1], "=")
}

// filterOf joins the words that are left over into the filter. One word is the filter as it
// is. Of several, the quotes belong to the filter (`method == "GET"`), unless it is a filter
// only without them.
func (e *Env) filterOf(args []string) string {
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = strings.TrimPrefix(a, operand)
	}
	plain := strings.Join(words, " ")
	if len(args) <= 1 {
		return plain
	}
	// The words left over are some of all words, in order: find them from the end.
	typed := slices.Clone(words)
	j := len(e.words) - 1
	for i := len(args) - 1; i >= 0; i-- {
		for j >= 0 && e.words[j] != args[i] {
			j--
		}
		if j < 0 {
			return plain
		}
		typed[i] = e.Raw[j]
		j--
	}
	quoted := strings.Join(typed, " ")
	if quoted != plain && e.compile(quoted) != nil && e.compile(plain) == nil {
		return plain
	}
	return quoted
}
