package tui_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
	"github.com/sshark/sshark/tui"
)

var update = flag.Bool("update", false, "write the golden files anew")

// operator sits before a screen: presses, types, looks. Time is that of the synctest bubble.
type operator struct {
	t      *testing.T
	shop   *shop
	model  tea.Model
	msgs   chan tea.Msg
	copied string
	left   bool
	width  int
	height int
}

// sit starts a session in a bubble, hands it to the test, and ends it.
func sit(t *testing.T, o tui.Options, width, height int, prepare func(*shop), test func(*operator)) {
	t.Helper()
	sitBefore(t, o, width, height, func(s *shop) tui.Backend {
		if prepare != nil {
			prepare(s)
		}
		return s
	}, test)
}

// sitBefore is sit before a backend that is made of the shop.
func sitBefore(t *testing.T, o tui.Options, width, height int, backend func(*shop) tui.Backend, test func(*operator)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newShop(time.Now, 4000, 200*time.Millisecond)
		o.Backend, o.Now = backend(s), time.Now
		if s.drawer != nil {
			o.Snapshots = s.drawer
		}
		if o.Host == "" {
			o.User, o.Host = "anna", "prod-eu"
		}
		op := &operator{t: t, shop: s, model: tui.New(o), msgs: make(chan tea.Msg, 1000)}
		op.run(op.model.Init())
		op.resize(width, height)
		op.wait(200 * time.Millisecond)
		test(op)
		if !op.left {
			op.press("ctrl+c")
		}
		if !op.left {
			t.Error("ctrl-c did not end the program")
		}
		op.wait(time.Second)
		if s.open != 0 {
			t.Errorf("%d queries go on after the end", s.open)
		}
	})
}

// run does what a command does, as bubbletea would.
func (op *operator) run(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	go func() {
		switch msg := cmd().(type) {
		case nil:
		case tea.BatchMsg:
			for _, c := range msg {
				op.run(c)
			}
		default:
			op.msgs <- msg
		}
	}()
}

// settle lets everything happen that needs no time.
func (op *operator) settle() {
	for {
		synctest.Wait()
		select {
		case msg := <-op.msgs:
			op.tell(msg)
		default:
			return
		}
	}
}

func (op *operator) tell(msg tea.Msg) {
	if _, ok := msg.(tea.QuitMsg); ok {
		op.left = true
		return
	}
	if v := reflect.ValueOf(msg); v.Kind() == reflect.String && strings.HasSuffix(v.Type().String(), "setClipboardMsg") {
		op.copied = v.String()
		return
	}
	var cmd tea.Cmd
	op.model, cmd = op.model.Update(msg)
	op.run(cmd)
}

func (op *operator) send(msg tea.Msg) {
	op.tell(msg)
	op.settle()
}

func (op *operator) wait(d time.Duration) {
	op.settle()
	for end := time.Now().Add(d); time.Now().Before(end); {
		<-time.After(min(50*time.Millisecond, time.Until(end)))
		op.settle()
	}
}

func (op *operator) resize(w, h int) {
	op.width, op.height = w, h
	op.send(tea.WindowSizeMsg{Width: w, Height: h})
}

var special = map[string]tea.KeyPressMsg{
	"enter": {Code: tea.KeyEnter}, "esc": {Code: tea.KeyEscape}, "tab": {Code: tea.KeyTab}, "space": {Code: ' ', Text: " "},
	"up": {Code: tea.KeyUp}, "down": {Code: tea.KeyDown}, "left": {Code: tea.KeyLeft}, "right": {Code: tea.KeyRight},
	"pgup": {Code: tea.KeyPgUp}, "pgdown": {Code: tea.KeyPgDown}, "home": {Code: tea.KeyHome}, "end": {Code: tea.KeyEnd},
	"backspace": {Code: tea.KeyBackspace},
}

// press presses keys one after the other.
func (op *operator) press(keys ...string) {
	for _, k := range keys {
		msg, ok := special[k]
		switch rest, ctrl := strings.CutPrefix(k, "ctrl+"); {
		case ok:
		case ctrl:
			msg = tea.KeyPressMsg{Code: rune(rest[0]), Mod: tea.ModCtrl}
		default:
			r := []rune(k)[0]
			msg = tea.KeyPressMsg{Code: unicode.ToLower(r), Text: k}
		}
		op.send(msg)
	}
}

// typed types a text, key by key.
func (op *operator) typed(s string) {
	for _, r := range s {
		if r == ' ' {
			op.press("space")
			continue
		}
		op.press(string(r))
	}
}

// ahead presses keys and types texts before anything that was asked for is answered.
func (op *operator) ahead(all ...string) {
	for _, s := range all {
		if k, ok := special[s]; ok {
			op.tell(k)
			continue
		}
		for _, r := range s {
			op.tell(tea.KeyPressMsg{Code: unicode.ToLower(r), Text: string(r)})
		}
	}
	op.settle()
}

func (op *operator) click(x, y int) {
	op.send(tea.MouseClickMsg{X: x, Y: y, Button: tea.MouseLeft})
	op.send(tea.MouseReleaseMsg{X: x, Y: y, Button: tea.MouseLeft})
}

func (op *operator) raw() string { return op.model.View().Content }

func (op *operator) screen() string { return ansi.Strip(op.raw()) }

// line is the first line of the screen that has a text in it, and its number.
func (op *operator) line(text string) (string, int) {
	for i, l := range strings.Split(op.screen(), "\n") {
		if strings.Contains(l, text) {
			return l, i
		}
	}
	return "", -1
}

func (op *operator) see(texts ...string) {
	op.t.Helper()
	for _, text := range texts {
		if !strings.Contains(op.screen(), text) {
			op.t.Errorf("%q is not on the screen:\n%s", text, op.screen())
		}
	}
}

func (op *operator) seeNot(texts ...string) {
	op.t.Helper()
	for _, text := range texts {
		if strings.Contains(op.screen(), text) {
			op.t.Errorf("%q is on the screen:\n%s", text, op.screen())
		}
	}
}

var sgr = regexp.MustCompile(`\x1b\[[0-9;:]*m`)

// checkScreen holds what is true of every screen: its lines have its width, and nothing in it
// but our own colours can steer a terminal.
func (op *operator) checkScreen() {
	op.t.Helper()
	lines := strings.Split(op.raw(), "\n")
	if len(lines) != op.height {
		op.t.Errorf("%dx%d: %d lines", op.width, op.height, len(lines))
	}
	for i, l := range lines {
		if w := ansi.StringWidth(l); w != op.width {
			op.t.Errorf("%dx%d: line %d has %d cells: %q", op.width, op.height, i, w, ansi.Strip(l))
		}
		for _, r := range sgr.ReplaceAllString(l, "") {
			if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
				op.t.Errorf("line %d has %U: %q", i, r, l)
			}
		}
	}
}

// golden compares the screen with a file: its text, or with its colours.
func (op *operator) golden(name string, colors bool) {
	op.t.Helper()
	op.checkScreen()
	got := op.screen()
	if colors {
		got = strings.ReplaceAll(op.raw(), "\x1b", "␛")
	}
	var b strings.Builder
	for l := range strings.SplitSeq(got, "\n") {
		fmt.Fprintln(&b, strings.TrimRight(l, " "))
	}
	file := filepath.Join("testdata", fmt.Sprintf("%s.%dx%d.golden", name, op.width, op.height))
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			op.t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			op.t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		op.t.Fatalf("%v; write it with -update", err)
	}
	if string(want) != b.String() {
		op.t.Errorf("%s differs; look, and if it is right, -update. Got:\n%s", file, b.String())
	}
}

var plain = tui.Options{Profile: colorprofile.ASCII, Replays: &player{}}
