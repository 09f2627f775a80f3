package filter

import (
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/memtest"
)

func TestShorthand(t *testing.T) {
	tests := []struct {
		flags string // NAME=VALUE; "!" before the name is --not
		want  string
	}{
		{"", ""},
		{"from-namespace=shop", `src.namespace == "shop"`},
		{"namespace=shop", `src.namespace == "shop" || dst.namespace == "shop"`},
		{"to-namespace=a to-namespace=b", `dst.namespace == "a" || dst.namespace == "b"`},
		{"to-namespace=a from-pod=front", `dst.namespace == "a" && src.pod.name.startsWith("front")`},
		{"from-pod=shop/front", `src.pod.namespace == "shop" && src.pod.name.startsWith("front")`},
		{"from-pod=shop/", `src.pod.namespace == "shop"`},
		{"pod=shop/front", `(src.pod.namespace == "shop" && src.pod.name.startsWith("front")) || (dst.pod.namespace == "shop" && dst.pod.name.startsWith("front"))`},
		{"to-service=store/cart", `dst.service.namespace == "store" && dst.service.name == "cart"`},
		{"to-workload=cart", `dst.workload == "cart"`},
		{"to-workload=store/cart", `dst.namespace == "store" && dst.workload == "cart"`},
		{"node=node-a", `node_name == "node-a" || src.node == "node-a" || dst.node == "node-a"`},
		{"from-label=app=cart,!old,tier!=x,new", `src.labels["app"] == "cart" && !("old" in src.labels) && src.labels["tier"] != "x" && "new" in src.labels`},
		{"to-ip=10.0.0.1", `dst.ip == "10.0.0.1"`},
		{"to-ip=::ffff:10.0.0.1", `dst.ip == "10.0.0.1"`},
		{"ip=10.1.2.3/8", `cidr("10.0.0.0/8").containsIP(src.ip) || cidr("10.0.0.0/8").containsIP(dst.ip)`},
		{"to-port=443", "dst.port == 443"},
		{"port=443 port=8000-8100", "(src.port == 443 || dst.port == 443) || ((src.port >= 8000 && src.port <= 8100) || (dst.port >= 8000 && dst.port <= 8100))"},
		{"protocol=DNS", "dns"},
		{"protocol=tls to-port=443", "(tls || tlsx) && dst.port == 443"},
		{"protocol=tls protocol=dns", "(tls || tlsx) || dns"},
		{"protocol=http protocol=dns to-port=80", "(http || dns) && dst.port == 80"},
		{"http-status=5+", "http && status_code >= 500 && status_code <= 599"},
		{"http-status=50+", "http && status_code >= 500 && status_code <= 509"},
		{"http-status=404 http-status=400-403", "(http && status_code == 404) || (http && status_code >= 400 && status_code <= 403)"},
		{"http-method=get", `http && method == "GET"`},
		{`http-path=^/cart/\d+$`, `http && path.matches("^/cart/\\d+$")`},
		{"!from-namespace=kube-system", `!(src.namespace == "kube-system")`},
		{"!protocol=dns !protocol=http to-port=1", "dst.port == 1 && !(dns) && !(http)"},
		{`from-pod=a"||true||"`, `src.pod.name.startsWith("a\"||true||\"")`},
		{"from-pod=a\\\x1bé", `src.pod.name.startsWith("a\\\u001bé")`},
	}
	l := testLanguage(t)
	for _, tt := range tests {
		var s Shorthand
		for _, f := range strings.Fields(tt.flags) {
			name, value, _ := strings.Cut(f, "=")
			name, not := strings.CutPrefix(name, "!")
			if err := s.Add(name, value, not); err != nil {
				t.Errorf("%s: %v", tt.flags, err)
			}
		}
		for range 2 { // String changes nothing
			if got := s.String(); got != tt.want {
				t.Errorf("%s:\n got %s\nwant %s", tt.flags, got, tt.want)
			}
		}
		compile(t, l, tt.want)
	}
}

func TestShorthandRefuses(t *testing.T) {
	for _, f := range []string{"port=99999", "port=9-1", "port=x", "ip=10.0.0", "ip=10.0.0.0/33", "ip=fe80::1%eth0", "label==", "label=a in (b)",
		"label=", "http-status=+", "http-status=600+", "http-status=20", "http-status=500-400", "http-path=(", "protocol=http||true", "pod=/x",
		"pod=a/b/c", "service=a/", "namespace=", "color=red", "from-protocol=http", "from-to-pod=x", "to-from-pod=x"} {
		name, value, _ := strings.Cut(f, "=")
		var s Shorthand
		err := s.Add(name, value, false)
		if err == nil {
			t.Errorf("%s: %s", f, s.String())
			continue
		}
		if !strings.HasPrefix(err.Error(), "--"+name) || s.String() != "" {
			t.Errorf("%s: %v, %q", f, err, s.String())
		}
	}
}

func TestShorthandFlags(t *testing.T) {
	l := testLanguage(t)
	values := map[string]string{"IP": "10.0.0.1", "ADDRESS|CIDR": "10.0.0.0/8", "PORT[-PORT]": "80", "STATUS": "404", "NAME": "http"}
	for _, f := range ShorthandFlags() {
		v := values[f.Value]
		if v == "" {
			v = "x"
		}
		var s Shorthand
		if err := s.Add(f.Name, v, true); err != nil || f.Help == "" {
			t.Errorf("%+v: %v", f, err)
			continue
		}
		compile(t, l, s.String())
	}
}

func TestAnd(t *testing.T) {
	tests := []struct {
		parts []string
		want  string
	}{
		{nil, ""},
		{[]string{"", " "}, ""},
		{[]string{"http", ""}, "http"},
		{[]string{"http || dns", ""}, "http || dns"},
		{[]string{"http || dns", "tcp"}, "(http || dns) && tcp"},
		{[]string{"http && tcp", "error ? tcp : udp"}, "(http && tcp) && (error ? tcp : udp)"},
		{[]string{`path == "a || b"`, "tcp"}, `path == "a || b" && tcp`},
		{[]string{"(http || dns)", "tcp"}, "(http || dns) && tcp"},
		{[]string{"http // mine", "tcp"}, "(http // mine\n) && tcp"},
		{[]string{`url == "http://x"`, "tcp"}, `url == "http://x" && tcp`},
	}
	l := testLanguage(t)
	for _, tt := range tests {
		if got := And(tt.parts...); got != tt.want {
			t.Errorf("%q: %s, want %s", tt.parts, got, tt.want)
		}
		compile(t, l, tt.want)
	}
}

// FuzzShorthand: whatever a value is, it stays one: what is made of it is a filter, and a
// literal of it is the value itself.
func FuzzShorthand(f *testing.F) {
	for _, s := range []string{`a`, `"`, `\`, "\n", `") || true || ("`, "a/b", "é", "\u2028", "k=v", "10.0.0.0/8", "\x80"} {
		f.Add(s)
	}
	l, err := New(testList)
	if err != nil {
		f.Fatal(err)
	}
	memory := memtest.New(maxMemory)
	f.Fuzz(func(t *testing.T, value string) {
		memory.Input()
		defer memory.Check(t)
		for _, flag := range []string{"namespace", "from-pod", "service", "label", "ip", "port", "http-method", "http-path", "http-status"} {
			var s Shorthand
			if s.Add(flag, value, false) != nil || len(value) > 500 {
				continue
			}
			if _, err := l.Compile(s.String()); err != nil && invalid(s.String()) < 0 && !strings.Contains(err.Error(), "pattern") {
				t.Fatalf("--%s %q: %v", flag, value, err)
			}
		}
		if invalid(value) >= 0 || len(value) > 1000 {
			return
		}
		if ok, err := compile(t, l, "["+dissect.Quote(value)+"] != []").Call(httpCall()); !ok || err != nil {
			t.Fatal(ok, err)
		}
		c := httpCall()
		c.Message.(*message).fields["path"] = value
		if ok, err := compile(t, l, "path == "+dissect.Quote(value)).Call(c); !ok || err != nil {
			t.Fatalf("%q as %s: %v, %v", value, dissect.Quote(value), ok, err)
		}
	})
}
