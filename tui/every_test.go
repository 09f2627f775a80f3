package tui_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/tui"
)

// These hold for every view that there is: a new one is tested by being in the list.

// visit goes to a view as an operator does.
func (op *operator) visit(name string) {
	op.t.Helper()
	if name == "stream" || name == "replay" {
		name += " 000a1b2c3d4e0"
	}
	command(op, name)
	op.wait(500 * time.Millisecond)
	if got := op.root().Top(); got != strings.Fields(name)[0] {
		op.t.Fatalf(":%s leads to %s:\n%s", name, got, op.screen())
	}
}

func (op *operator) root() tui.Model { return op.model.(tui.Model) }

func everyView(t *testing.T, test func(t *testing.T, name string)) {
	for _, v := range tui.Views() {
		name := v.Name
		t.Run(name, func(t *testing.T) { test(t, name) })
	}
}

func small(s *shop) {
	withDrawer(s)
	s.kept = 60
}

func TestEveryViewFillsEverySize(t *testing.T) {
	everyView(t, func(t *testing.T, name string) {
		for _, look := range []tui.Options{{Profile: colorprofile.ASCII}, {Profile: colorprofile.ANSI}, {Profile: colorprofile.ANSI256, Light: true}, {Profile: colorprofile.TrueColor}} {
			sit(t, look, 80, 24, small, func(op *operator) {
				op.visit(name)
				for _, keys := range [][]string{{}, {"j", "enter"}, {"esc", "/"}, {"esc", "?"}, {"esc", ":"}} {
					op.press(keys...)
					op.wait(200 * time.Millisecond)
					for _, size := range [][2]int{{80, 24}, {40, 10}, {41, 13}, {79, 25}, {149, 34}, {150, 33}, {300, 100}} {
						op.resize(size[0], size[1])
						op.checkScreen()
						if t.Failed() {
							t.Fatalf("after %q at %v:\n%s", keys, size, op.screen())
						}
					}
				}
			})
		}
	})
}

func TestEveryViewIsPlainWithoutColors(t *testing.T) {
	everyView(t, func(t *testing.T, name string) {
		sit(t, plain, 100, 30, small, func(op *operator) {
			op.visit(name)
			for _, code := range sgr.FindAllString(op.raw(), -1) {
				for part := range strings.SplitSeq(strings.TrimSuffix(strings.TrimPrefix(code, "\x1b["), "m"), ";") {
					if n := len(part); n >= 2 && (part[0] == '3' || part[0] == '4' || part[0] == '9' || n == 3) {
						t.Fatalf("%q is a colour, and there are to be none", code)
					}
				}
			}
		})
	})
}

func TestEveryViewShowsHostileTextSafely(t *testing.T) {
	everyView(t, func(t *testing.T, name string) {
		sit(t, tui.Options{Profile: colorprofile.ANSI256, User: "an\x1bna", Host: "pr\u202eod"}, 120, 40, func(s *shop) {
			withDrawer(s)
			s.kept = 3
			s.extra = []*dissect.Call{hostileCall(s.start.Add(-time.Millisecond).UnixNano())}
			s.nodes[0].Name, s.nodes[0].Problem = "\x1b[31mnode", "\x1b]0;title\x07"
			s.nodes[0].Problems = []tui.PodProblem{{Pod: "\x1b[31m", Problem: "\u202e"}}
			s.report.Notes = []string{"segment \x1b[2J broken"}
			s.report.Missing = []tui.Missing{{Node: "\x1b[31m", Why: "\x9b2J\n\u202e"}}
			s.drawer.list[0].By, s.drawer.list[0].Filter = "\x1b[31m", "\u202e"
		}, func(op *operator) {
			op.visit(name)
			for _, k := range []string{"j", "j", "enter", "j", "j", "y", "c", "c", "esc", "=", "esc", "?", "esc", "k", "k", "tab", "l", "=", "esc", "esc"} {
				op.press(k)
				op.wait(200 * time.Millisecond)
				op.checkScreen()
				if strings.ContainsAny(op.copied, "\x1b\x07\u202e\u009b") || !utf8.ValidString(op.copied) {
					t.Errorf("copied %q", op.copied)
				}
				if title := op.model.View().WindowTitle; strings.ContainsAny(title, "\x1b\u202e") {
					t.Errorf("window title %q", title)
				}
				if t.Failed() {
					t.Fatalf("after %s:\n%s", k, op.screen())
				}
			}
		})
	})
}

func TestNoPanicOfABackendEndsAView(t *testing.T) {
	everyView(t, func(t *testing.T, name string) {
		for _, where := range []string{"calls", "flows", "packets", "stream", "detail", "nodes", "check", "columns"} {
			sit(t, plain, 100, 30, func(s *shop) {
				withDrawer(s)
				s.kept, s.panics = 20, where
			}, func(op *operator) {
				op.visit(name)
				for _, k := range []string{"j", "enter", "esc", "/", "d", "esc", "?", "esc"} {
					op.press(k)
					op.wait(200 * time.Millisecond)
					op.checkScreen()
				}
			})
		}
	})
}

// elsewhere are the sections of the help whose keys work only while something is open.
var elsewhere = []string{"Move", "While typing", "Details", "Choosing columns", "In a menu", "Mouse"}

// state is all that a key can change.
func (op *operator) state() string {
	return fmt.Sprint(op.raw(), op.copied, op.left, op.model.View().MouseMode, op.root().Top(), len(op.shop.asked()))
}

// pressKey presses a key by its name in a key map.
func (op *operator) pressKey(name string) {
	msg, known := special[name]
	switch rest, mod := strings.CutPrefix(name, "shift+"); {
	case known:
	case mod && rest == "tab":
		msg = tea.KeyPressMsg{Code: tea.KeyTab, Mod: tea.ModShift}
	case mod || strings.HasPrefix(name, "alt+") || name == "f1":
		return // the same as another one
	default:
		op.press(name)
		op.wait(400 * time.Millisecond)
		return
	}
	op.send(msg)
	op.wait(400 * time.Millisecond)
}

func TestEveryKeyDoesSomethingOrSaysWhy(t *testing.T) {
	everyView(t, func(t *testing.T, name string) {
		var keys, moves []string
		sit(t, plain, 120, 40, small, func(op *operator) {
			moves = op.root().Help()["Move"]
			op.visit(name)
			for title, of := range op.root().Help() {
				if !slices.Contains(elsewhere, title) {
					keys = append(keys, of...)
				}
			}
		})
		keys = slices.DeleteFunc(keys, func(k string) bool { return slices.Contains(moves, k) })
		slices.Sort(keys)
		for _, k := range slices.Compact(keys) {
			if strings.HasPrefix(k, "shift+") && k != "shift+tab" || strings.HasPrefix(k, "alt+") || k == "f1" {
				continue
			}
			sit(t, plain, 120, 40, small, func(op *operator) {
				op.visit(name)
				before := op.state()
				if op.pressKey(k); op.state() == before {
					t.Errorf("%s does nothing, and does not say why:\n%s", k, op.screen())
				}
			})
		}
	})
}

func TestHelpListsEveryKeyThatDoesSomething(t *testing.T) {
	everyView(t, func(t *testing.T, name string) {
		var known []string
		sit(t, plain, 120, 40, small, func(op *operator) {
			op.visit(name)
			for _, of := range op.root().Help() {
				known = append(known, of...)
			}
		})
		var all []string
		for c := '!'; c <= '~'; c++ {
			all = append(all, string(c))
		}
		for c := 'a'; c <= 'z'; c++ {
			all = append(all, "ctrl+"+string(c))
		}
		all = slices.DeleteFunc(all, func(k string) bool { return slices.Contains(known, k) })
		sit(t, plain, 120, 40, small, func(op *operator) {
			op.visit(name)
			for _, k := range all {
				before := op.state()
				if op.press(k); op.state() != before {
					t.Fatalf("%s does something that the help does not tell:\n%s", k, op.screen())
				}
			}
		})
	})
}
