package sshd

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// TestKeyReader: an escape character alone is told apart from the beginning of a sequence.
func TestKeyReader(t *testing.T) {
	const soon, later = escapeWait / 2, 2 * escapeWait
	type piece struct {
		after time.Duration
		text  string
	}
	for _, tt := range []struct {
		name  string
		typed []piece
		want  string
	}{
		{"letters", []piece{{0, "j"}, {0, "k"}, {later, "l"}}, "jkl"},
		{"escape", []piece{{0, "\x1b"}}, escapeKey},
		{"escape, then a key", []piece{{0, "\x1b"}, {later, "j"}}, escapeKey + "j"},
		{"twice", []piece{{0, "\x1b"}, {later, "\x1b"}}, escapeKey + escapeKey},
		{"an arrow", []piece{{0, "\x1b[A"}}, "\x1b[A"},
		{"an arrow in two parts", []piece{{0, "\x1b"}, {soon, "[A"}}, "\x1b[A"},
		{"alt and a letter", []piece{{0, "\x1bj"}}, "\x1bj"},
		{"pasted", []piece{{0, "\x1b[200~a\x1bb\x1b[201~"}}, "\x1b[200~a\x1bb\x1b[201~"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in, out := io.Pipe()
				gone := errors.New("gone")
				go func() {
					for _, p := range tt.typed {
						<-time.After(p.after) // of the bubble
						_, _ = io.WriteString(out, p.text)
					}
					_ = out.CloseWithError(gone)
				}()
				k := newKeyReader(in, time.Hour, func() { t.Error("nobody was idle") })
				defer k.stop()
				var got []byte
				for p := make([]byte, 3); ; { // less than a sequence
					n, err := k.Read(p)
					got = append(got, p[:n]...)
					if err != nil {
						if !errors.Is(err, gone) {
							t.Errorf("it ended with %v", err)
						}
						break
					}
				}
				if string(got) != tt.want {
					t.Errorf("%q, want %q", got, tt.want)
				}
			})
		})
	}
}

// TestKeyReaderStops: what was typed and nobody reads keeps nothing alive.
func TestKeyReaderStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, out := io.Pipe()
		k := newKeyReader(in, time.Hour, func() {})
		if _, err := io.WriteString(out, "j"); err != nil {
			t.Fatal(err)
		}
		k.stop()
		k.stop()
		synctest.Wait() // and the bubble has no goroutine left at its end
	})
}
