package redis

import (
	"fmt"

	"github.com/sshark/sshark/dissect/cuttest"
)

type (
	sink = cuttest.Script
	step = cuttest.Step
)

var (
	c = cuttest.Client
	s = cuttest.Server
)

func cgap(n int64) step { return cuttest.Missing(0, n) }
func sgap(n int64) step { return cuttest.Missing(1, n) }

// run plays steps; see cuttest.Script.
func run(k *sink, steps []step, chunk int) error { return k.Play(newParser(k), steps, chunk) }

// cmd is a command as clients send it.
func cmd(words ...string) string {
	b := fmt.Appendf(nil, "*%d\r\n", len(words))
	for _, w := range words {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(w), w)
	}
	return string(b)
}
