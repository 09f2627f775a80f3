package shop

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"
)

// server answers every GET /call/… with its own name and the client's address. The client
// chooses the status (?status=503) and how long it takes (?latency=20ms).
type server struct {
	listen string
	name   string
	dns    string // where to serve DNS, "": nowhere
	answer string // the address that its names have
}

// answer is the body of an HTTP response.
type answer struct {
	Server string `json:"server"`
	Client string `json:"client"` // address and port
}

func (s *server) declare(f *flag.FlagSet) {
	host, _ := os.Hostname()
	f.StringVar(&s.listen, "listen", ":8080", "where to serve HTTP")
	f.StringVar(&s.name, "name", cmp.Or(os.Getenv("POD_NAME"), host), "who it says that it is")
	f.StringVar(&s.dns, "dns", "", "where to serve DNS, nowhere if not given")
	f.StringVar(&s.answer, "answer", "", "the address that every name of the zone example has")
}

func (s *server) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /call/", s.call)
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", s.listen)
	if err != nil {
		return err
	}
	g.Go(func() error {
		if err := web.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	stops := []func() error{web.Close}
	if s.dns != "" {
		addr, err := netip.ParseAddr(s.answer)
		if err != nil {
			return errors.Join(err, web.Close())
		}
		names := &dns.Server{Addr: s.dns, Net: "udp", Handler: names(addr)}
		g.Go(names.ListenAndServe)
		stops = append(stops, names.Shutdown)
	}
	g.Go(func() error {
		<-ctx.Done()
		for _, stop := range stops {
			err = errors.Join(err, stop())
		}
		return err
	})
	return g.Wait()
}

func (s *server) call(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if latency, err := time.ParseDuration(q.Get("latency")); err == nil {
		t := time.NewTimer(latency)
		defer t.Stop()
		select {
		case <-t.C:
		case <-r.Context().Done():
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	if status, err := strconv.Atoi(q.Get("status")); err == nil {
		w.WriteHeader(status)
	}
	_ = json.NewEncoder(w).Encode(answer{s.name, r.RemoteAddr}) // the client reports what it did not get
}

// zone is what the names end in that the server has.
const zone = "example."

// names gives every name of the zone the same address, and no other records. Others do not
// exist, so that a search list comes to nothing.
func names(addr netip.Addr) dns.HandlerFunc {
	return func(w dns.ResponseWriter, ask *dns.Msg) {
		m := new(dns.Msg).SetReply(ask)
		m.Authoritative = true
		for _, q := range ask.Question {
			head := dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: dns.ClassINET, Ttl: 60}
			switch {
			case !dns.IsSubDomain(zone, q.Name):
				m.Rcode = dns.RcodeNameError
			case q.Qtype == dns.TypeA && addr.Is4():
				m.Answer = append(m.Answer, &dns.A{Hdr: head, A: addr.AsSlice()})
			case q.Qtype == dns.TypeAAAA && addr.Is6():
				m.Answer = append(m.Answer, &dns.AAAA{Hdr: head, AAAA: addr.AsSlice()})
			}
		}
		_ = w.WriteMsg(m) // as for HTTP
	}
}
