package component

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
	"github.com/sshark/sshark/tui/style"
)

func look() *style.Styles {
	st := style.New(colorprofile.ASCII, true)
	return &st
}

func TestWidthsFillTheLine(t *testing.T) {
	cols := []Column{{Min: 8, Max: 12, Weight: 2}, {Min: 10, Max: 30, Weight: 5}, {Min: 10, Weight: 10}, {Min: 7, Right: true}}
	for total := range 300 {
		w := Widths(cols, total)
		used, shown := 0, 0
		for i, n := range w {
			if n == 0 {
				continue
			}
			if n < cols[i].Min || cols[i].Max > 0 && n > cols[i].Max {
				t.Errorf("%d cells: column %d has %d", total, i, n)
			}
			used += n
			shown++
		}
		used += max(0, shown-1)
		if used > total || shown == len(cols) && used != total {
			t.Errorf("%d cells: %v takes %d", total, w, used)
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Number(0), "0"}, {Number(0.25), "0.25"}, {Number(3), "3"}, {Number(9.54), "9.5"}, {Number(812.3), "812"},
		{Number(999.6), "1k"}, {Number(4200), "4.2k"}, {Number(31e6), "31M"}, {Number(123456), "123k"},
		{Bytes(0), "0 B"}, {Bytes(812), "812 B"}, {Bytes(4300), "4.2 KiB"}, {Bytes(31 << 30), "31 GiB"}, {Bytes(1 << 63), "8 EiB"},
		{Duration(12), "12ns"}, {Duration(12 * time.Microsecond), "12µs"}, {Duration(1230 * time.Microsecond), "1.23ms"},
		{Duration(45600 * time.Millisecond), "45.6s"}, {Duration(725 * time.Second), "12m5s"}, {Duration(100 * 24 * time.Hour), "100d"},
		{Duration(5 * time.Second), "5s"}, {Duration(999_600 * time.Microsecond), "1.00s"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
	for d := time.Duration(1); d > 0 && d < 1000*24*time.Hour; d = d*13/10 + 1 {
		if s := Duration(d); style.Text(s).Width() > 6 {
			t.Errorf("%q is more than six cells", s)
		}
	}
}

func TestSeries(t *testing.T) {
	sec := int64(time.Second)
	s := NewSeries(time.Second)
	s.Add(100*sec, Count{All: 1})
	s.Add(98*sec+5, Count{All: 2, Errors: 1}) // what is older may come later
	s.Add(103*sec, Count{All: 4})
	for _, c := range []struct {
		since, until int64
		want         Count
	}{{0, 1000 * sec, Count{7, 1}}, {98 * sec, 99 * sec, Count{2, 1}}, {99 * sec, 103 * sec, Count{1, 0}}, {103 * sec, 104 * sec, Count{4, 0}}, {104 * sec, 200 * sec, Count{}}} {
		if got := s.Sum(c.since, c.until); got != c.want {
			t.Errorf("Sum(%d, %d) = %v, want %v", c.since/sec, c.until/sec, got, c.want)
		}
	}
	s.Add(1e6*sec, Count{All: 1}) // far on: only the newest bins are kept
	s.Add(0, Count{All: 1})
	if got := s.Sum(0, 2e6*sec); got != (Count{1, 0}) || len(s.bins) > maxBins {
		t.Errorf("kept %v in %d bins", got, len(s.bins))
	}
}

func TestWideningSeriesKeepsAll(t *testing.T) {
	s := NewWideningSeries(time.Millisecond)
	var want Count
	for _, at := range []time.Duration{time.Hour, time.Hour + 5, 2 * time.Hour, 100 * time.Hour, time.Minute, 9000 * time.Hour} {
		s.Add(int64(at), Count{All: 3, Errors: 1})
		want.All += 3
		want.Errors++
		since, until := s.Span()
		if got := s.Sum(since, until); got != want {
			t.Errorf("after %s: %v, want %v", at, got, want)
		}
		if len(s.bins) > maxBins {
			t.Errorf("%d bins", len(s.bins))
		}
	}
}

func TestChart(t *testing.T) {
	sec := int64(time.Second)
	s := NewSeries(time.Second)
	for i := range int64(40) {
		s.Add((1000+i)*sec, Count{All: uint64(i % 9), Errors: uint64(i%9) / 8 * 4})
	}
	c := Chart{Styles: look(), Location: time.UTC, Since: 990 * sec, Until: 1040 * sec, Known: 1000 * sec, Bin: s.Step}
	c.SetSize(60, 4)
	got := c.View(s)
	for i, l := range got {
		if w := ansi.StringWidth(l); w != 60 {
			t.Errorf("line %d has %d cells", i, w)
		}
	}
	if !strings.Contains(got[0], "8/s") || !strings.Contains(got[2], "··········") || !strings.Contains(got[3], "00:16:30") || !strings.Contains(got[3], "00:17:20") {
		t.Errorf("got\n%s", ansi.Strip(strings.Join(got, "\n")))
	}
	since, until, ok := c.At(labelWidth + c.columns() - 1)
	if !ok || until-since != sec || until != 1040*sec {
		t.Errorf("the last column is %d-%d, %v", since/sec, until/sec, ok)
	}
	if _, _, ok := c.At(2); ok {
		t.Error("the scale is no column")
	}
}

func TestInput(t *testing.T) {
	var in Input
	press := func(keys ...tea.KeyPressMsg) {
		for _, k := range keys {
			in.Press(k)
		}
	}
	in.Insert("http && größe\n\x1b[31m")
	if got := in.Value(); got != "http && größe  [31m" {
		t.Errorf("control characters were typed: %q", got)
	}
	in.Set("src.name == x")
	press(tea.KeyPressMsg{Code: 'a', Mod: tea.ModCtrl}, tea.KeyPressMsg{Code: 'f', Mod: tea.ModAlt})
	if in.Cursor() != 3 {
		t.Errorf("a word ends at %d, want 3", in.Cursor())
	}
	press(tea.KeyPressMsg{Code: 'k', Mod: tea.ModCtrl})
	in.Insert(".")
	in.Replace(0, "dst.ip")
	if in.Value() != "dst.ip" || in.Cursor() != 6 {
		t.Errorf("%q, cursor at %d", in.Value(), in.Cursor())
	}
	press(tea.KeyPressMsg{Code: 'w', Mod: tea.ModCtrl}, tea.KeyPressMsg{Code: tea.KeyBackspace})
	if in.Value() != "dst" {
		t.Errorf("%q", in.Value())
	}
	in.Insert(strings.Repeat("x", 2*maxInput))
	if len(in.runes) > maxInput {
		t.Errorf("%d runes were taken", len(in.runes))
	}
	for w := 2; w < 30; w++ {
		if text, cell, _ := in.Visible(w); text.Width() > w || cell >= w {
			t.Errorf("in %d cells: %d, cursor at %d", w, text.Width(), cell)
		}
	}
}

func TestJSONLines(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []string
	}{
		{"object", `{"a":1,"b":[true,null],"c":{},"d":[]}`, []string{"{", `  "a": 1,`, `  "b": [`, "    true,", "    null", "  ],", `  "c": {},`, `  "d": []`, "}"}},
		{"cut off", `{"a":"x`, []string{"{", `  "a": "x`}},
		{"broken", `}{]`, []string{"}", "{", "]"}},
		{"escape", "{\"\x1b\":\"\u202e\\\"\"}", []string{"{", `  "\x1b": "\u202e\""`, "}"}},
		{"several", "{\"a\":1}\n{\"b\":2}", []string{"{", `  "a": 1`, "}", "{", `  "b": 2`, "}"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, l := range JSONLines(look(), []byte(c.in), 60) {
				got = append(got, l.Text())
			}
			if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("got\n%s", strings.Join(got, "\n"))
			}
		})
	}
}

func TestHexLines(t *testing.T) {
	lines := HexLines(look(), []byte("\x00\x01GET /\x1b[31m\xff and so on"), 80)
	if got := lines[0].Text(); got != "000000  00 01 47 45 54 20 2f 1b  5b 33 31 6d ff 20 61 6e  ..GET /.[31m. an" {
		t.Errorf("%q", got)
	}
	if got := HexLines(look(), make([]byte, 20), 60)[2].Text(); !strings.HasPrefix(got, "000010  00 00 00 00 ") {
		t.Errorf("%q", got)
	}
}

func TestIsText(t *testing.T) {
	for in, want := range map[string]bool{"plain\n": true, "größe": true, "größe"[:3]: true, "\x00\x01\x02": false, "\xff\xfe": false, "": true, "\x89PNG\r\n\x1a\n": false} {
		if got := IsText([]byte(in)); got != want {
			t.Errorf("IsText(%q) = %v", in, got)
		}
	}
}

func TestDeepNestingStaysSmall(t *testing.T) {
	total := 0
	for _, l := range JSONLines(look(), []byte(strings.Repeat("[", 200_000)), 60) {
		total += len(l.Text())
	}
	if total > 4<<20 {
		t.Errorf("200,000 bytes became %d", total)
	}
}

// FuzzDocuments: whatever a body holds, its lines can be shown, fit, and are bounded.
func FuzzDocuments(f *testing.F) {
	for _, s := range []string{`{"a":[1,2,{"b":"c"}]}`, "text\r\nmore\ttext", "\x00\xff\x1b[2J", `{"a":"` + strings.Repeat("x", 300), "[[[[]]]]", "\u202e商品"} {
		f.Add([]byte(s), uint8(40))
	}
	f.Fuzz(func(t *testing.T, b []byte, w uint8) {
		width := max(24, int(w))
		for name, lines := range map[string][]Line{"json": JSONLines(look(), b, width), "text": TextLines(look(), b, width), "hex": HexLines(look(), b, width)} {
			if len(lines) > maxLines+len(b) {
				t.Errorf("%s: %d lines of %d bytes", name, len(lines), len(b))
			}
			for i := range lines {
				for _, r := range lines[i].Text() {
					if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
						t.Errorf("%s: line %d holds %U", name, i, r)
					}
				}
				if got := ansi.StringWidth(lines[i].Render(look(), width, style.Selected)); got != width {
					t.Errorf("%s: line %d has %d cells, want %d", name, i, got, width)
				}
			}
		}
	})
}

func TestOver(t *testing.T) {
	st := style.New(colorprofile.ANSI256, true)
	lines := []string{st.Error.Render("aaaaaaaaaa"), "商品商品商", "cccccccccc"}
	Over(lines, []string{"XX", "YY"}, 3, 1)
	for i, want := range []string{"aaaaaaaaaa", "商XX", "cccYYccccc"} {
		if got := ansi.Strip(lines[i]); !strings.HasPrefix(got, want) {
			t.Errorf("line %d is %q", i, got)
		}
	}
	Over(lines, []string{"1", "2", "3", "4"}, 0, -2)
	if got := fmt.Sprint(ansi.Strip(lines[0])[:1], ansi.Strip(lines[1])[:1]); got != "3 4" && got != "34" {
		t.Errorf("%q", got)
	}
}

// TestMenuMovesAndChooses holds that j and k move, and letters choose.
func TestMenuMovesAndChooses(t *testing.T) {
	m := NewMenu(look(), "what", []Choice{{Key: "a", Text: "one"}, {Key: "b", Text: "two", Off: "not now"}, {Text: "three", Help: style.Text(strings.Repeat("long ", 30))}})
	press := func(s string) Event { return m.Press(tea.KeyPressMsg{Code: []rune(s)[0], Text: s}) }
	if e := press("j"); e != Nothing || m.Cursor != 1 {
		t.Errorf("j: %v, at %d", e, m.Cursor)
	}
	if press("k"); m.Cursor != 0 {
		t.Errorf("k: at %d", m.Cursor)
	}
	if press("k"); m.Cursor != 2 {
		t.Errorf("k goes around: at %d", m.Cursor)
	}
	if e := press("b"); e != Accepted || m.Cursor != 1 {
		t.Errorf("b: %v, at %d", e, m.Cursor)
	}
	if e := m.Press(tea.KeyPressMsg{Code: tea.KeyEscape}); e != Cancelled {
		t.Errorf("esc: %v", e)
	}
	for _, w := range []int{30, 60, 120} {
		for h := 3; h < 8; h++ {
			box := m.Box(w, h)
			if len(box) > h {
				t.Errorf("%d lines in %d", len(box), h)
			}
			for _, l := range box {
				if n := ansi.StringWidth(l); n > w || n != ansi.StringWidth(box[0]) {
					t.Errorf("in %d cells: %d: %q", w, n, ansi.Strip(l))
				}
			}
		}
	}
}

func TestHistoryKeepsTheNewestOnce(t *testing.T) {
	var h History
	for i := range 2 * maxHistory {
		h.Add(fmt.Sprint(i % 60))
	}
	h.Add("")
	h.Add("5")
	if got := h.Newest(3); len(h.list) != maxHistory || got[0] != "5" || got[1] != "39" || got[2] != "38" {
		t.Errorf("%d lines, the newest %q", len(h.list), got)
	}
}
