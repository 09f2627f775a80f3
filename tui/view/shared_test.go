package view

import (
	"reflect"
	"strconv"
	"sync"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// said is a message for tests.
type said struct{ summary, status string }

func (s *said) AppendSummary(dst []byte) []byte { return append(dst, s.summary...) }
func (s *said) AppendStatus(dst []byte) []byte  { return append(dst, s.status...) }
func (*said) AppendFields(dst []byte) []byte    { return dst }
func (*said) Body(int) *dissect.Body            { return nil }

// sharedCall is call n as each question is told it: in memory of its own.
func sharedCall(n int) *dissect.Call {
	f := &dissect.Flow{ID: flow.ID(n / 4), Node: "node-a", Client: dissect.Endpoint{Identity: &dissect.Identity{Namespace: "shop", Pod: "gateway"}}}
	return &dissect.Call{Flow: f, Time: int64(n), Seq: uint32(n), Client: &dissect.Sighting{Node: "node-b", Time: int64(n)},
		Message: &said{"GET /cart/" + strconv.Itoa(n) + "\x01", "200"}}
}

// Two screens that are told the same hold it once; one that is told less, or other things, has its own.
func TestShared(t *testing.T) {
	shared := NewShared()
	a, b, alone := copier{shared: shared}, copier{shared: shared}, copier{}
	first, second := a.row(sharedCall(5)), b.row(sharedCall(5))
	if first.told != second.told || first == second {
		t.Error("the same is not shared")
	}
	if alone.row(sharedCall(5)).told == first.told {
		t.Error("a screen shares that is alone")
	}
	second.mark = true
	if first.mark {
		t.Error("a mark is shared")
	}
	for name, change := range map[string]func(*dissect.Call){
		"summary":  func(c *dissect.Call) { c.Message = &said{"", "200"} }, // it may not be seen
		"status":   func(c *dissect.Call) { c.Message = &said{"GET /cart/5\x01", ""} },
		"identity": func(c *dissect.Call) { c.Flow.Client.Identity = nil },
		"labels":   func(c *dissect.Call) { c.Flow.Client.Identity.Labels = map[string]string{"app": "x"} },
		"node":     func(c *dissect.Call) { c.Flow.Node = "node-c" },
		"client":   func(c *dissect.Call) { c.Client = nil },
		"sighting": func(c *dissect.Call) { c.Client.ResponseEnd = 9 },
		"answer":   func(c *dissect.Call) { c.RequestEnd, c.ResponseStart = 6, 7 },
	} {
		c := sharedCall(5)
		change(c)
		own := copier{shared: shared}
		got, want := own.row(c), alone.row(c)
		if got.told == first.told || got.summary != want.summary || got.status != want.status || got.src().full != want.src().full {
			t.Errorf("%s: told %+v, want %+v", name, got.told, want.told)
		}
		a.row(sharedCall(5)) // is the newest again
	}
	// A field that is new counts too.
	v := reflect.TypeFor[told]()
	for i := range v.NumField() {
		switch v.Field(i).Name {
		case "time", "id", "latency", "flow", "proto", "client", "summary", "raw", "status", "seq", "err", "reverse", "cut", "overlong":
		default:
			t.Errorf("does told.is compare %s?", v.Field(i).Name)
		}
	}
}

// What is shared is bounded, and many screens make it at once.
func TestSharedBound(t *testing.T) {
	shared := NewShared()
	var screens sync.WaitGroup
	for range 4 {
		screens.Go(func() {
			c := copier{shared: shared}
			for n := range 3 * MaxRows {
				if r := c.row(sharedCall(n)); r.time != int64(n) || r.flow.stream != flow.ID(n/4).String() {
					t.Errorf("call %d is %+v", n, r.told)
					return
				}
			}
		})
	}
	screens.Wait()
	if n := len(shared.calls.of); n != 2*MaxRows || len(shared.calls.order) != n {
		t.Errorf("%d calls are held", n)
	}
}
