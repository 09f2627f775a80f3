package command

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/sshd/sourcetest"
)

// piece is what a source tells of a stream; of a gap the data is nil.
type piece struct {
	side flow.Dir
	data string
	gap  int64
}

// printStream prints pieces in a format, both sides.
func printStream(t *testing.T, format string, pieces []piece) string {
	t.Helper()
	var out bytes.Buffer
	e := newEnv(&sourcetest.Source{})
	e.Stdout = &out
	p := &streamPrinter{out: e.output(), look: &streamLook{look: look{output: format}, side: "both"}}
	for _, x := range pieces {
		var err error
		if x.data == "" {
			err = p.Gap(x.side, x.gap, 1)
		} else {
			err = p.Data(x.side, []byte(x.data), 1)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := p.finish(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestStreamText: lines are those of the stream, wherever it was cut into pieces.
func TestStreamText(t *testing.T) {
	for _, tt := range []struct {
		name   string
		pieces []piece
		want   string
	}{
		{"lines", []piece{{0, "a\r\n\r\nb\n", 0}, {1, "c", 0}}, "→ a\n→\n→ b\n← c\n"},
		{"a line in pieces", []piece{{0, "a", 0}, {0, "b\r", 0}, {0, "\nc", 0}}, "→ ab\n→ c\n"},
		{"a side that is cut short", []piece{{0, "a", 0}, {1, "b", 0}, {0, "c\n", 0}}, "→ a\n← b\n→ c\n"},
		{"a character in pieces", []piece{{0, "\xe6\xbc", 0}, {0, "\xa2!", 0}}, "→ 漢!\n"},
		{"half a character", []piece{{0, "x\xe6\xbc", 0}, {1, "y", 0}}, "→ x\\xe6\\xbc\n← y\n"},
		{"a lone return", []piece{{0, "a\rb\r", 0}}, "→ a\\rb\\r\n"},
		{"what terminals obey", []piece{{1, "\x1b[2J\u202e\x00\x9b1m\n", 0}}, "← \\x1b[2J\\u202e\\x00\\x9b1m\n"},
		{"gaps", []piece{{0, "a", 0}, {1, "", 0}, {0, "", 1}, {0, "b", 0}, {0, "", 7}}, "→ a\n← [bytes are missing here, it is not known how many]\n→ [1 byte is missing here]\n→ b\n→ [7 bytes are missing here]\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := printStream(t, formatText, tt.pieces); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// TestStreamHex: rows go on over pieces, and offsets count what is missing.
func TestStreamHex(t *testing.T) {
	got := printStream(t, formatHex, []piece{{0, "0123456789", 0}, {0, "abcdef\x1bX", 0}, {1, "\xff", 0}, {0, "", 14}, {0, "z", 0}})
	want := strings.Join([]string{
		"→ 00000000: 3031 3233 3435 3637 3839 6162 6364 6566  0123456789abcdef",
		"→ 00000010: 1b58                                     .X",
		"← 00000000: ff                                       .",
		"→ [14 bytes are missing here]",
		"→ 00000020: 7a                                       z",
		"",
	}, "\n")
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestStreamMemory: one line without an end is printed as it comes.
func TestStreamMemory(t *testing.T) {
	var out bytes.Buffer
	e := newEnv(&sourcetest.Source{})
	e.Stdout = &out
	p := &streamPrinter{out: e.output(), look: &streamLook{look: look{output: formatText}, side: "both"}}
	b := bytes.Repeat([]byte{'x'}, 4096)
	for range 1000 {
		if err := p.Data(0, b, 1); err != nil {
			t.Fatal(err)
		}
		if len(p.held) > 3 || len(p.out.buf) > outputBuffer {
			t.Fatalf("%d bytes are held, %d not printed", len(p.held), len(p.out.buf))
		}
	}
}
