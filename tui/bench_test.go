package tui_test

import (
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/sshark/sshark/tui"
)

// full is a screen of 200x50 with 10,000 rows in 256 colours.
func full(b *testing.B) tea.Model {
	b.Helper()
	now := time.Now()
	s := newShop(func() time.Time { return now }, 10_000, 80*time.Millisecond)
	var m tea.Model = tui.New(tui.Options{Backend: s, Now: s.now, Profile: colorprofile.ANSI256, Context: b.Context()})
	m, _ = m.Update(tea.WindowSizeMsg{Width: 200, Height: 50})
	batch, ok := m.Init()().(tea.BatchMsg)
	if !ok {
		b.Fatal("Init is no batch")
	}
	m, _ = m.Update(batch[0]()) // the nodes
	cmd := batch[len(batch)-1]  // the rows, until what is kept was read
	for range 100 {
		m, cmd = m.Update(cmd())
		if strings.Contains(m.View().Content, "10,000 calls") {
			return m
		}
	}
	b.Fatal("the rows did not come")
	return m
}

func BenchmarkView(b *testing.B) {
	m := full(b)
	b.ReportAllocs()
	for b.Loop() {
		_ = m.View()
	}
}

// BenchmarkKeyToFrame is what one key press costs: Update and View.
func BenchmarkKeyToFrame(b *testing.B) {
	m := full(b)
	keys := []tea.KeyPressMsg{special["up"], special["pgup"], special["down"], special["pgdown"]}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		m, _ = m.Update(keys[i%len(keys)])
		_ = m.View()
		i++
	}
}

func BenchmarkSort(b *testing.B) {
	m := full(b)
	b.ReportAllocs()
	for b.Loop() {
		m, _ = m.Update(tea.KeyPressMsg{Code: 'l', Text: "L"})
	}
}
