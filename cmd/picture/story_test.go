package main

import (
	"strings"
	"testing"
)

func TestSSHLine(t *testing.T) {
	for _, tt := range []struct{ name, out, want string }{
		{"among others", "demo shop open\n\nssh -p 1 h\n\nfor files: scp -P 1 h:/x .\nssh later\n", "ssh -p 1 h"},
		{"none", "packets are kept\nfor ssh see\n", ""},
	} {
		if got, ok := sshLine(strings.NewReader(tt.out)); got != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: %q, %v; want %q", tt.name, got, ok, tt.want)
		}
	}
}

func TestComplaint(t *testing.T) {
	const text = "time=2026-01-02T15:04:05Z level=INFO msg=found\nsshark: no root\ntry another\ntime=x\n"
	if got := complaint(text); got != "sshark: no root\ntry another" {
		t.Errorf("%q", got)
	}
}

func TestRipe(t *testing.T) {
	const (
		other  = "  06:24:30 shop-gateway shop-cart HTTP GET /carts/user1 200 1ms\n"
		failed = "  06:24:30 shop-gateway shop-cart HTTP POST /carts/user1/checkout 503 1ms\n"
		lookup = "  06:24:30 shop-cart shop-dns DNS A payments.shop.internal NXDOMAIN 1ms\n"
		help   = " ? help\n"
	)
	for _, tt := range []struct {
		name, screen string
		want         bool
	}{
		{"in the middle", other + failed + lookup + strings.Repeat(other, 4) + help, true},
		{"newest", other + failed + lookup + help, false},
		{"too far up", failed + lookup + strings.Repeat(other, 12) + help, false},
		{"another reason", failed + strings.Repeat(other, 5) + help, false},
		{"nothing", "", false},
	} {
		if got := ripe(tt.screen); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
