package demo

import (
	"context"
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"

	"github.com/sshark/sshark/cmd/netlab"
)

// names is the shop's DNS server. It knows the zone and refuses the rest of the world.
//
//	gateway, catalog, redis, dns   A
//	cart                           AAAA alone, where there is IPv6
//	gateway6                       AAAA of the gateway
//	www                            CNAME of the gateway
//	feed                           a TXT too long for UDP: its askers come again by TCP
//	flaky                          SERVFAIL every other time
//	payments                       does not exist, which is what ails the checkout
type names struct {
	zone map[string][]dns.RR // lower-case name → records
	odd  chan bool           // the state of flaky, one value
}

const (
	nameTTL   = 5 // seconds: short, so that names are asked for again and again
	feedName  = "feed." + zone
	flakyName = "flaky." + zone
	paysName  = "payments." + zone
	gate6Name = "gateway6." + zone
	wwwName   = "www." + zone
)

func newDNS(all []member) *names {
	n := &names{zone: map[string][]dns.RR{}, odd: make(chan bool, 1)}
	n.odd <- false
	v6 := netlab.HasIPv6()
	for _, m := range all {
		if m == cartMember && v6 {
			n.add(aaaa(m.fqdn(), m))
			continue
		}
		n.add(&dns.A{Hdr: header(m.fqdn(), dns.TypeA), A: m.addr4().AsSlice()})
	}
	if v6 {
		n.add(aaaa(gate6Name, gatewayMember))
	}
	n.add(&dns.CNAME{Hdr: header(wwwName, dns.TypeCNAME), Target: gatewayMember.fqdn()})
	for range 12 {
		n.add(&dns.TXT{Hdr: header(feedName, dns.TypeTXT), Txt: []string{strings.Repeat("v=feed1 sku=0000 price=0.00 ", 8)}})
	}
	return n
}

func (n *names) add(rr dns.RR) {
	name := rr.Header().Name
	n.zone[name] = append(n.zone[name], rr)
}

func header(name string, t uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: t, Class: dns.ClassINET, Ttl: nameTTL}
}

func aaaa(name string, m member) dns.RR {
	return &dns.AAAA{Hdr: header(name, dns.TypeAAAA), AAAA: net.IP(m.addr6().AsSlice())}
}

func (n *names) run(ctx context.Context, ready func()) error {
	var g errgroup.Group
	for _, network := range []string{"udp", "tcp"} {
		up := make(chan struct{})
		failed := make(chan error, 1)
		srv := &dns.Server{Addr: ":53", Net: network, Handler: n, NotifyStartedFunc: func() { close(up) }}
		g.Go(func() error {
			err := srv.ListenAndServe()
			failed <- err
			return err
		})
		select {
		case <-up:
		case err := <-failed:
			return err
		}
		g.Go(func() error {
			<-ctx.Done()
			return srv.Shutdown()
		})
	}
	ready()
	return g.Wait()
}

// ServeDNS answers one question.
func (n *names) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	r := new(dns.Msg).SetReply(q)
	r.Authoritative = true
	if len(q.Question) == 1 {
		n.answer(r, q.Question[0])
	} else {
		r.Rcode = dns.RcodeFormatError
	}
	if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
		size := dns.MinMsgSize
		if opt := q.IsEdns0(); opt != nil {
			size = int(opt.UDPSize())
		}
		r.Truncate(size)
	}
	// A client that is gone has no use for the error, and the server none either.
	_ = w.WriteMsg(r)
}

func (n *names) answer(r *dns.Msg, q dns.Question) {
	name := strings.ToLower(q.Name)
	if !dns.IsSubDomain(zone, name) {
		r.Rcode = dns.RcodeRefused
		return
	}
	if name == flakyName {
		odd := <-n.odd
		n.odd <- !odd
		if odd {
			r.Rcode = dns.RcodeServerFailure
			return
		}
	}
	records, ok := n.zone[name]
	if !ok && name != flakyName {
		r.Rcode = dns.RcodeNameError
	}
	for _, rr := range records {
		switch rr.Header().Rrtype {
		case q.Qtype:
			r.Answer = append(r.Answer, rr)
		case dns.TypeCNAME:
			r.Answer = append(r.Answer, rr)
			n.answer(r, dns.Question{Name: rr.(*dns.CNAME).Target, Qtype: q.Qtype, Qclass: q.Qclass})
		}
	}
	if len(r.Answer) == 0 {
		r.Ns = []dns.RR{&dns.SOA{
			Hdr: header(zone, dns.TypeSOA), Ns: dnsMember.fqdn(), Mbox: "hostmaster." + zone,
			Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: nameTTL,
		}}
	}
}

// lookAround asks the questions that a shop asks besides those before a call, until ctx ends.
func lookAround(ctx context.Context) error {
	r := newResolver()
	for n := 0; pause(ctx, 400*time.Millisecond); n++ {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		// The answers do not matter: half of these are meant to fail.
		switch n % 6 {
		case 0:
			_, _ = r.LookupNetIP(ctx, "ip", wwwName)
		case 1:
			_, _ = r.LookupNetIP(ctx, "ip6", gate6Name)
		case 2:
			_, _ = r.LookupNetIP(ctx, "ip4", paysName)
		case 3:
			_, _ = r.LookupTXT(ctx, feedName)
		case 4:
			_, _ = r.LookupNetIP(ctx, "ip4", flakyName)
		case 5:
			_, _ = r.LookupMX(ctx, zone)
		}
		cancel()
	}
	return nil
}
