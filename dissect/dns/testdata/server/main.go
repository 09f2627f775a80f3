// Command server answers what record.sh asks for, over UDP and TCP.
package main

import (
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/miekg/dns"
)

var zone = map[string][]string{
	"www.example.":   {"www.example. 60 IN CNAME host.example.", "host.example. 60 IN A 192.0.2.1", "host.example. 60 IN A 192.0.2.2"},
	"host.example.":  {"host.example. 60 IN A 192.0.2.1", "host.example. 60 IN AAAA 2001:db8::1"},
	"example.":       {"example. 60 IN MX 10 mail.example.", `example. 60 IN TXT "v=spf1 " "-all"`, "example. 60 IN NS ns.example."},
	"_http.example.": {"_http.example. 60 IN SRV 1 2 8080 host.example."},
	"svc.example.":   {`svc.example. 60 IN HTTPS 1 . alpn="h2,h3" port=8443 ipv4hint="192.0.2.1"`},
}

func main() {
	dns.HandleFunc(".", answer)
	go func() { log.Fatal(dns.ListenAndServe(os.Args[1], "tcp", nil)) }()
	log.Fatal(dns.ListenAndServe(os.Args[1], "udp", nil))
}

func answer(w dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg)
	m.SetReply(q)
	m.Compress = true
	name, kind := strings.ToLower(q.Question[0].Name), q.Question[0].Qtype
	switch {
	case kind == dns.TypeAXFR:
		transfer(w, q)
		return
	case name == "lost.example.":
		return
	case name == "broken.example.":
		m.Rcode = dns.RcodeServerFailure
	case name == "large.example.":
		for i := range 100 {
			m.Answer = append(m.Answer, record(fmt.Sprintf("large.example. 60 IN A 198.51.100.%d", i)))
		}
		if w.RemoteAddr().Network() == "udp" {
			m.Truncate(dns.MinMsgSize)
		}
	case zone[name] == nil:
		m.Rcode = dns.RcodeNameError
		m.Ns = append(m.Ns, record("example. 60 IN SOA ns.example. root.example. 1 2 3 4 5"))
	}
	for _, r := range zone[name] {
		if rr := record(r); rr.Header().Rrtype == kind || kind == dns.TypeANY || rr.Header().Rrtype == dns.TypeCNAME || len(m.Answer) > 0 && zone[name][0] != r && strings.Contains(zone[name][0], "CNAME") {
			m.Answer = append(m.Answer, rr)
		}
	}
	if o := q.IsEdns0(); o != nil {
		m.SetEdns0(1232, o.Do())
	}
	w.WriteMsg(m)
}

// transfer sends a zone in three messages (RFC 5936).
func transfer(w dns.ResponseWriter, q *dns.Msg) {
	soa := record("example. 60 IN SOA ns.example. root.example. 1 2 3 4 5")
	c := make(chan *dns.Envelope)
	go func() {
		defer close(c)
		c <- &dns.Envelope{RR: []dns.RR{soa, record("a.example. 60 IN A 192.0.2.3")}}
		c <- &dns.Envelope{RR: []dns.RR{record("b.example. 60 IN A 192.0.2.4")}}
		c <- &dns.Envelope{RR: []dns.RR{soa}}
	}()
	if err := new(dns.Transfer).Out(w, q, c); err != nil {
		log.Print(err)
	}
	w.Close()
}

func record(text string) dns.RR {
	rr, err := dns.NewRR(text)
	if err != nil {
		log.Fatal(err)
	}
	return rr
}
