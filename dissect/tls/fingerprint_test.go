package tls

import (
	"slices"
	"testing"
)

// TestJA4 has the examples of the specification.
func TestJA4(t *testing.T) {
	suites := []uint16{0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035}
	extensions := func(signatures string) string {
		s := ext(0x1a1a, "") + ext(0x001b, "") + sni("example.com") + ext(0x0033, "") + alpn("h2", "http/1.1") + ext(0x4469, "") + ext(0x0017, "") + ext(0x002d, "")
		if signatures != "" {
			s += ext(extSignatures, block(2, signatures))
		}
		return s + ext(0x0005, "") + ext(0x0023, "") + ext(0x0012, "") + ext(extVersions, block(1, nums(0x9a9a, 0x0304, 0x0303))) +
			ext(0xff01, "") + ext(0x000b, "") + ext(0x000a, "") + ext(0x0015, "") + ext(0x8a8a, "\x00")
	}
	signatures := nums(0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601)
	full := asksFor(0x0303, nums(append([]uint16{0x5a5a}, suites...)...), extensions(signatures))
	for _, c := range []struct {
		name, hello string
		carrier     byte
		want        string
	}{
		{"the example", full, 't', "t13d1516h2_8daaf6152771_e5627efa2ab1"},
		{"over quic", full, 'q', "q13d1516h2_8daaf6152771_e5627efa2ab1"},
		{"nothing but a suite", asksFor(0x0301, nums(0x002f), ""), 't', "t10i010000_" + sum("002f") + "_000000000000"},
		{"nothing but grease", asksFor(0x0300, nums(0x0a0a), ""), 't', "ts3i000000_000000000000_000000000000"},
		{"a version that is none", asksFor(0x0303, nums(0x002f), ext(extVersions, block(1, nums(0x0305)))), 't', "t00i010100_" + sum("002f") + "_" + sum("002b")},
	} {
		if got := string(appendJA4(nil, parsed(t, c.hello), c.carrier)); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
	// Without signature algorithms the list of extensions stands alone.
	a := parsed(t, asksFor(0x0303, nums(suites...), extensions("")+ext(extSignatures, block(2, ""))))
	if got := string(appendJA4(nil, a, 't')); got != "t13d1516h2_8daaf6152771_6d807ffa2a79" {
		t.Errorf("without signature algorithms: %s", got)
	}
}

func sum(text string) string { return string(appendSum(nil, []byte(text))) }

// TestJA4Protocol has the specification's table of first protocols.
func TestJA4Protocol(t *testing.T) {
	for _, c := range []struct{ first, want string }{
		{"h2", "h2"}, {"http/1.1", "h1"}, {"x", "xx"}, {"", "00"},
		{"\xab", "ab"}, {"\xab\xcd", "ad"}, {"0\xab", "3b"}, {"01\xab\xcd", "3d"}, {"0\xab\xcd1", "01"},
	} {
		a := parsed(t, asksFor(0x0303, nums(0x002f), alpn(c.first, "zz")))
		data, _ := a.extension(extALPN)
		if got := string(appendEnds(nil, data)); got != c.want {
			t.Errorf("%q: got %s, want %s", c.first, got, c.want)
		}
	}
	if got := string(appendEnds(nil, nil)); got != "00" {
		t.Errorf("none: %s", got)
	}
}

// TestJA3 has the examples of salesforce/ja3.
func TestJA3(t *testing.T) {
	for _, c := range []struct{ hello, want string }{
		// 769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0
		{asksFor(769, nums(0x1a1a, 47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4),
			sni("a")+ext(0x0a0a, "")+ext(extGroups, block(2, nums(0x2a2a, 23, 24, 25)))+ext(extFormats, block(1, "\x00"))), "ada70206e40642a3e4461f35503241d5"},
		// 769,4-5-10-9-100-98-3-6-19-18-99,,,
		{asksFor(769, nums(4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99), ""), "de350869b8c85de67a350c8d186f11e6"},
	} {
		if got := string(appendJA3(nil, parsed(t, c.hello))); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

func TestSuiteNames(t *testing.T) {
	if !slices.IsSortedFunc(suiteNames[:], func(a, b suite) int { return int(a.number) - int(b.number) }) {
		t.Error("suiteNames are not in order")
	}
	for n, want := range map[uint16]string{0x1301: "TLS_AES_128_GCM_SHA256", 0x00ff: "TLS_EMPTY_RENEGOTIATION_INFO_SCSV", 0xc02f: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", 0x1299: "0x1299"} {
		if got := string(appendSuite(nil, n)); got != want {
			t.Errorf("%#x: %s", n, got)
		}
	}
}
