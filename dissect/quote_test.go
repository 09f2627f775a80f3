package dissect

import "testing"

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"GET /": `"GET /"`, `say "hi" \o/`: `"say \"hi\" \\o/"`, "a\nb\x00": `"a\nb\u0000"`, "\u202eevil": `"\u202eevil"`,
		"größe": `"größe"`, "\xff": `"\ufffd"`, "\U000e0041": `"\U000e0041"`,
	} {
		if got := Quote(in); got != want {
			t.Errorf("Quote(%q) = %s, want %s", in, got, want)
		}
	}
}
