package tui_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/charmbracelet/colorprofile"

	"github.com/sshark/sshark/tui"
)

// physician finds what a test lets it find.
type physician struct {
	mu    sync.Mutex
	found []tui.Finding
	err   error
	asked int
}

func (p *physician) Examine(context.Context) ([]tui.Finding, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	return slices.Clone(p.found), p.err
}

func ill() *physician {
	return &physician{found: []tui.Finding{
		{Severity: 1, What: "identities are 14s behind: the API server is slow", Do: "look at the API server's load; names of new pods come late"},
		{Severity: 2, Node: "node-a", Pod: "shop/cart-7f9c", What: "its network namespace cannot be entered: permission denied", Do: "give the worker SYS_ADMIN and SYS_PTRACE [securityContext of the chart]"},
		{Severity: 0, Node: "node-a", What: "13 of 14 pods are captured, 12.5k packets a second"},
		{Node: "node-a", Pod: "shop/redis-0", What: "captured at eth0", Detail: true},
		{Node: "node-b\x1b[31m", What: "11 of 11 pods are captured, 8.2k packets a second"},
	}}
}

func TestDoctor(t *testing.T) {
	p := ill()
	sit(t, tui.Options{View: "doctor", Doctor: p}, 80, 24, nil, func(op *operator) {
		op.see("1 error, 1 warning", "shop/cart-7f9c: its network namespace", "→ give the worker SYS_ADMIN", "identities are 14s behind")
		op.seeNot("shop/redis-0")
		op.press("a")
		op.see("shop/redis-0: captured at eth0")

		p.mu.Lock()
		p.found, p.err = p.found[4:], errors.New("node-a did not answer: connection refused")
		p.mu.Unlock()
		op.press("x")
		op.see("asking the nodes")
		op.wait(4500 * time.Millisecond) // that was said
		op.see("node-a did not answer", "nothing wrong")
		op.press("esc")
		op.see("SUMMARY")
	})
}

func TestDoctorSaysWhyItSaysNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		examiner tui.Examiner
		want     string
	}{
		"a file":      {nil, "There is nothing to examine here."},
		"no node":     {&physician{}, "There is no node."},
		"no answer":   {&physician{err: errors.New("the fleet is gone")}, "the fleet is gone"},
		"all is well": {&physician{found: ill().found[3:4]}, "Nothing wrong was found."},
	} {
		t.Run(name, func(t *testing.T) {
			sit(t, tui.Options{View: "doctor", Doctor: tt.examiner}, 80, 24, nil, func(op *operator) { op.see(tt.want) })
		})
	}
}

func TestDoctorGoldens(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 40}} {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			for name, profile := range map[string]colorprofile.Profile{"doctor": colorprofile.ASCII, "doctor.256": colorprofile.ANSI256} {
				o := tui.Options{View: "doctor", Doctor: ill(), Profile: profile}
				sit(t, o, size[0], size[1], nil, func(op *operator) { op.golden(name, profile == colorprofile.ANSI256) })
			}
		})
	}
}
