package view

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/tui/style"
)

// talk is a conversation of pieces: the client's, the server's, and so on; "" is a gap.
func talk(pieces ...string) *conversation {
	c := &conversation{}
	for i, p := range pieces {
		c.add(fragment{side: flow.Dir(i % 2), data: []byte(p), at: int64(i + 1)})
	}
	return c
}

func laid(c *conversation, f streamForm, w int) *streamLines {
	st := style.New(colorprofile.ASCII, true)
	l := &streamLines{conv: c, st: &st, form: f, width: w}
	l.lay()
	return l
}

func (l *streamLines) strings() []string {
	var out []string
	for i := range l.all {
		line := l.draw(i, nil, match{-1, -1})
		out = append(out, line.Text())
	}
	return out
}

func TestLines(t *testing.T) {
	for _, tt := range []struct {
		name string
		form streamForm
		conv *conversation
		want []string
	}{
		{"lines", asText, talk("a\r\nb\n", "c"), []string{"→ a", "→ b", "← c"}},
		{"wrapped", asText, talk("0123456789abcdef"), []string{"→ 0123456789", "→ abcdef"}},
		{"wide letters are not cut", asText, talk("012345678漢x"), []string{"→ 012345678", "→ 漢x"}},
		{"tabs and lone returns", asText, talk("a\tb\rc"), []string{"→ a    b\\rc"}},
		{"what terminals obey", asText, talk("\x1b[2J\n\u202eA"), []string{"→ \\x1b[2J", "→ \\u202eA"}},
		{"hex", asHex, talk("0123456789", "\xff"), []string{
			"→ 00000000  30 31 32 33 34 35 36 37  01234567", "→ 00000008  38 39                    89",
			"← 00000000  ff                       ."}},
		{"a gap", asText, talk("a", ""), []string{"→ a", "← [bytes are missing here, it is not known how many]"}},
		{"json", asJSON, talk("X: 1\r\n\r\n{\"a\":[1,{}]}\r\n"), []string{"→ X: 1", "→ ", "→ {", "→   \"a\": [", "→     1,", "→     {}", "→   ]", "→ }"}},
		{"no json", asJSON, talk("{x}\n[y]\n{"), []string{"→ {x}", "→ [y]", "→ {"}},
		{"json that is cut off", asJSON, talk(`{"a":1,`), []string{"→ {", "→   \"a\": 1,"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := laid(tt.conv, tt.form, 10).strings(); !slices.Equal(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestFinder(t *testing.T) {
	c := talk("Needle in a hay", "NEEDLE", "stack, a nee", "needle", "dle")
	for _, tt := range []struct {
		text string
		want string // of each match, its bytes
	}{
		{"needle", "Needle NEEDLE needle"}, {"NEEDLE", "NEEDLE"}, {"re:[nN]ee", "Nee nee nee"}, {"hex:4e 45", "NE"}, {"re:x*", ""}, {"a.b", ""}, {"re", ""},
	} {
		next, err := newFinder(tt.text)
		if err != nil {
			t.Fatal(err)
		}
		found, more := find(c, bothSides, next, func() bool { return false })
		var got []string
		for _, f := range found {
			got = append(got, string(c.bytes[f.from:f.to]))
		}
		if strings.Join(got, " ") != tt.want || more {
			t.Errorf("%q finds %q, want %q", tt.text, got, tt.want)
		}
	}
	next, _ := newFinder("e")
	if found, more := find(talk(strings.Repeat("e", maxMatches+5)), bothSides, next, func() bool { return false }); len(found) != maxMatches || !more {
		t.Errorf("%d matches, more: %v", len(found), more)
	}
	if _, more := find(c, bothSides, next, func() bool { return true }); !more {
		t.Error("what was stopped says that it is all")
	}
	if found, _ := find(c, serverSide, next, func() bool { return false }); len(found) != 6 {
		t.Errorf("%d matches in what the server said", len(found))
	}
	for _, bad := range []string{"re:(", "hex:", "hex:zz"} {
		if _, err := newFinder(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// TestParts: the parts of a stream are all of it, each is bounded, and one says what is before it.
func TestParts(t *testing.T) {
	said := func(out StreamSink) error {
		for i := range 300_000 { // small pieces weigh too
			if err := out.Data(flow.Dir(i%2), []byte(fmt.Sprintf("%07d", i)), int64(i)); err != nil {
				return err
			}
			if i == 1000 {
				if err := out.Gap(0, 5, int64(i)); err != nil {
					return err
				}
			}
		}
		return nil
	}
	var all []byte
	parts, before := 0, int64(0)
	for more := true; more; parts++ {
		c := &conversation{}
		r := &partReader{part: parts, ctx: context.Background(), add: c.add}
		err := said(r)
		r.finish()
		if more = errors.Is(err, errEnough); err != nil && !more {
			t.Fatal(err)
		}
		if n := len(c.bytes) + len(c.pieces)*pieceWeight; n > partWeight+1024 {
			t.Fatalf("part %d weighs %d", parts, n)
		}
		if parts > 0 {
			if p := c.pieces[0]; p.at != skipped || p.gap != before {
				t.Errorf("part %d says %+v, before it are %d", parts, p, before)
			}
		}
		before = c.sent[0]
		all = append(all, c.bytes...)
	}
	if len(all) != 2_100_000 || parts < 4 || !bytes.HasSuffix(all, []byte("0299999")) {
		t.Errorf("%d parts have %d bytes", parts, len(all))
	}
	for at, want := range map[int64]int{1: 0, 200_000: 3, 250_000: 4, 1_000_000: parts - 1} {
		var got []fragment
		r := &partReader{target: at, ctx: context.Background(), add: func(f fragment) { got = append(got, f) }}
		if err := said(r); err != nil && !errors.Is(err, errEnough) {
			t.Fatal(err)
		}
		r.finish()
		in := slices.ContainsFunc(got, func(f fragment) bool { return f.at >= at })
		if len(got) < 2 || got[1].part != want || in != (want < parts-1 || at < 300_000) || (got[0].at == skipped) != (want > 0) {
			t.Errorf("what was said at %d is in part %d, want %d: %v", at, got[1].part, want, in)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := said(&partReader{ctx: ctx, add: func(fragment) {}}); !errors.Is(err, context.Canceled) {
		t.Errorf("what is cancelled goes on: %v", err)
	}
}

// FuzzLines: any bytes are shown in any width, in every form, with nothing a terminal obeys; and
// each byte is on the line that is found for it.
func FuzzLines(f *testing.F) {
	for _, s := range []string{"GET / HTTP/1.1\r\n\r\n", `{"a":[1,2,{"b":"\"漢"}]}`, "\x1b[2J\u202e\t\r\n\x9b\xff", "[[[[", "👩\u200d💻🇩🇪\u1112\u1161e\u0301"} {
		f.Add([]byte(s), []byte("x\n"), uint8(20), uint8(1))
	}
	f.Fuzz(func(t *testing.T, a, b []byte, w, which uint8) {
		c := talk(string(a), string(b), string(a))
		l := laid(c, streamForm(which%3), max(8, int(w)))
		for i := range l.all {
			line := l.draw(i, []match{{0, len(a) / 2}}, match{-1, -1})
			text := line.Text()
			for _, r := range text {
				if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
					t.Fatalf("line %q holds %U", text, r)
				}
			}
			if drawn := line.Render(l.st, 30, style.Plain); ansi.StringWidth(drawn) != 30 {
				t.Fatalf("line %q has %d cells", drawn, ansi.StringWidth(drawn))
			}
			if l.form == asText && !c.turns[l.all[i].turn].missing && ansi.StringWidth(text) > max(14, l.width+2) {
				t.Fatalf("line %q is wider than %d", text, l.width)
			}
		}
		for at := range c.bytes {
			if i := l.at(at); i >= len(l.all) || int(l.all[i].from) > at {
				t.Fatalf("byte %d is not on line %d", at, i)
			}
		}
	})
}

func BenchmarkLay(b *testing.B) {
	line := "GET /api/products/17?category=umbrellas HTTP/1.1\r\n"
	c := talk(strings.Repeat(line, (4<<20)/len(line)))
	for _, f := range []streamForm{asText, asHex, asJSON} {
		l := laid(c, f, 117)
		b.Run(f.String(), func(b *testing.B) {
			b.SetBytes(int64(len(c.bytes)))
			b.ReportAllocs()
			for b.Loop() {
				l.lay()
			}
		})
	}
}

func BenchmarkFind(b *testing.B) {
	c := talk(strings.Repeat("GET /api/products/17?category=umbrellas HTTP/1.1\r\n", 80_000))
	for _, text := range []string{"Needle", "needle", "re:[0-9]+ needle", "hex:00ff"} {
		next, err := newFinder(text)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(text, func(b *testing.B) {
			b.SetBytes(int64(len(c.bytes)))
			for b.Loop() {
				find(c, bothSides, next, func() bool { return false })
			}
		})
	}
}

// BenchmarkStreamKeyToFrame is what one key press costs in a full part, with matches on all lines.
func BenchmarkStreamKeyToFrame(b *testing.B) {
	st := style.New(colorprofile.ANSI256, true)
	m := NewStream(&Host{Context: b.Context(), Styles: &st, Clock: Clock{Now: time.Now, Location: time.UTC}}, Ref{}, Scope{})
	m.SetSize(200, 50)
	m.show(talk(strings.Repeat("GET /api/products/17?category=umbrellas HTTP/1.1\r\n", 80_000)))
	next, err := newFinder("products")
	if err != nil {
		b.Fatal(err)
	}
	m.search.found, _ = find(m.conv, bothSides, next, func() bool { return false })
	keys := []tea.KeyPressMsg{{Code: 'j', Text: "j"}, {Code: tea.KeyPgDown}, {Code: 'k', Text: "k"}, {Code: tea.KeyPgUp}}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		m.Update(keys[i%len(keys)])
		m.View()
		i++
	}
}
