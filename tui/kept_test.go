package tui_test

import (
	"testing"
	"time"

	"github.com/sshark/sshark/tui"
)

// aFile lets the shop be a file of two hours, up to midnight.
func aFile(s *shop) {
	s.nodes = s.nodes[:1]
	s.nodes[0].State = "reading"
	s.oldest = s.start.Add(-2 * time.Hour).UnixNano()
	s.report.Newest = s.start.UnixNano()
	s.nodes[0].Oldest, s.nodes[0].Newest = s.oldest, s.report.Newest
	sent(s)
}

// TestWindowBeyondAFile: a window that reaches further than a file has packets of says so in every
// view, and one that misses it says that this is why nothing is there.
func TestWindowBeyondAFile(t *testing.T) {
	const has = "there are packets only from 1999-12-31 22:00:00 to 2000-01-01 00:00:00"
	for _, view := range []string{"calls", "flows", "packets", "map"} {
		t.Run(view, func(t *testing.T) {
			o := plain
			o.Window = &tui.Window{}
			sit(t, o, 100, 30, aFile, func(op *operator) {
				command(op, view)
				look := func(window string) {
					op.press("w")
					op.typed(window)
					op.press("enter")
					op.wait(400 * time.Millisecond)
				}
				op.wait(400 * time.Millisecond)
				op.seeNot("there are packets only from")
				look("1999-12-31 20:00 .. 2000-01-01 00:00:01")
				op.see(has)
				look("1999-12-31 23:00 .. 2000-01-01 02:00")
				op.see(has)
				look("1999-12-31 23:00 .. 1999-12-31 23:59:59")
				op.seeNot("there are packets only from")
				look("1999-12-31 20:00 .. 1999-12-31 21:00")
				op.see("There is no packet of this window.", "Window: 1999-12-31 20:00:00 – 21:00:00", "Packets: from 1999-12-31 22:00:00 to 2000-01-01 00:00:00", "0  for all of it")
				if view == "calls" {
					op.golden("missed", false)
				}
				look("30m") // ages count back from the newest packet
				op.see("since 1999-12-31 23:30:00")
				op.seeNot("live")
				op.press("0")
				op.wait(400 * time.Millisecond)
				op.seeNot("There is no packet of this window.", "there are packets only from")
			})
		})
	}
}
