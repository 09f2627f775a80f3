package replay

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/servicemap/identity"
	"github.com/sshark/sshark/worker/query"
	"github.com/sshark/sshark/worker/reach"
)

// Plan makes a plan of an order. Nothing is sent. What is against it is in the plan; the error is
// for what cannot be planned at all, ErrRefused among it.
func (d *Desk) Plan(ctx context.Context, source query.Source, o Order) (*Plan, error) {
	p, err := d.plan(ctx, source, o)
	deed := &Deed{Order: &o, Err: err}
	if p != nil {
		deed.Node, deed.Target = p.Node, p.target()
		for i := range p.Objections {
			if e := p.Objections[i].err; e != nil {
				deed.Err = e
				break
			}
		}
	}
	d.did(deed)
	return p, err
}

// target is the address, or the name while that has none.
func (p *Plan) target() string {
	if !p.Addr.IsValid() {
		return p.Order.To
	}
	return p.Addr.String()
}

func (d *Desk) did(deed *Deed) {
	if d.Did != nil {
		d.Did(deed)
	}
}

func (d *Desk) plan(ctx context.Context, source query.Source, o Order) (*Plan, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	rules, err := NewRules(o.Ignore)
	if err != nil {
		return nil, fmt.Errorf("--ignore %w", err)
	}
	if d.Begin != nil {
		end, err := d.Begin()
		if err != nil {
			return nil, err
		}
		defer end()
	}
	p := &Plan{Order: o, rules: rules}
	var t *transcript
	p.Flow, t, p.Report, err = read(ctx, source, o.Stream)
	if errors.Is(err, errLong) {
		err = nil
		p.against(true, "more was said than %d MiB, which is the most that is replayed", MaxTranscript>>20)
	}
	if err != nil {
		return nil, err
	}
	if p.Flow.Transport != flow.TCP && p.Flow.Transport != flow.UDP {
		p.against(true, "only TCP and UDP are replayed, and it is %s", p.Flow.Transport)
	} else {
		p.dissect(t, d.Protocols)
		p.judge(t)
	}
	d.aim(ctx, p)
	return p, ctx.Err()
}

// against adds an objection.
func (p *Plan) against(final bool, format string, args ...any) {
	p.Objections = append(p.Objections, Objection{Why: fmt.Sprintf(format, args...), Final: final})
}

// fails adds an objection that is an error.
func (p *Plan) fails(err error) {
	p.Objections = append(p.Objections, Objection{Why: err.Error(), Final: true, err: err})
}

// note adds what else is to know.
func (p *Plan) note(format string, args ...any) {
	p.Notes = append(p.Notes, fmt.Sprintf(format, args...))
}

// dissect finds the turns and the calls of what was recorded.
func (p *Plan) dissect(t *transcript, protocols []*dissect.Protocol) {
	p.Sent, p.Received = t.size[0], t.size[1]
	turns, _ := t.turns(p.Flow.Transport)
	at := p.Flow.First
	if len(t.pieces) > 0 {
		at = t.pieces[0].at
	}
	r := newReading(p.Flow, protocols, at)
	turn, client := -1, false
	for i := range t.pieces {
		s := &t.pieces[i]
		if s.dir == 0 && len(s.data) > 0 && !client {
			r.sync()
			turn++
			turns[turn].Answered = r.done()
			client = true
		} else if s.dir == 1 && len(s.data) > 0 {
			client = false
			p.answers = append(p.answers, s.data)
		}
		if len(s.data) > 0 {
			r.data(s.dir, s.data, s.at)
		} else {
			r.gap(s.dir, s.gap, s.at)
		}
	}
	r.close()
	p.Turns, p.Calls, p.More = turns, r.calls, r.more
	p.encrypted(r)
	p.challenged(r.name)
}

// encrypted refuses what only the two ends of that one connection could read.
func (p *Plan) encrypted(r *reading) {
	for _, name := range []string{"tlsx", "tls", "quic", "ssh"} {
		if f := p.Flow.Protocol; f != nil && f.Name == name || r.name == name || r.parsed[name] {
			what := map[string]string{"quic": "QUIC", "ssh": "SSH"}[name]
			if what == "" {
				what = "TLS"
			}
			p.against(true, "its bytes are encrypted with keys of that one connection (%s): no server takes them again; replay the same calls where they are plain, behind what ends the encryption (an ingress, a sidecar)", what)
			return
		}
	}
}

// challenged objects to logins that answer what the server makes up anew each time.
func (p *Plan) challenged(name string) {
	how := ""
	switch name {
	case "postgresql":
		how = postgresChallenge(bytes.Join(p.answers[:min(4, len(p.answers))], nil))
	case "mysql":
		how = "MySQL's, unless the user has no password"
	default:
		for _, c := range p.Calls {
			if bytes.Contains(c.fields, []byte(`"saslStart"`)) || bytes.Contains(c.fields, []byte(`"SaslAuthenticate"`)) {
				how = "SASL"
				break
			}
		}
	}
	if how != "" {
		p.against(false, "its login answers a challenge that the server makes up anew each time (%s): the recorded answer is wrong then; replay it to a server that trusts the user", how)
	}
}

// postgresChallenge is how a server asks for a password, "" where it asks for none that changes: the
// code of its Authentication message (PostgreSQL, Message Formats), which comes first.
func postgresChallenge(b []byte) string {
	if len(b) < 9 || b[0] != 'R' {
		return ""
	}
	return map[uint32]string{5: "PostgreSQL's MD5; use trust", 10: "PostgreSQL's SCRAM; use trust"}[binary.BigEndian.Uint32(b[5:])]
}

// judge says what is against replaying what was recorded.
func (p *Plan) judge(t *transcript) {
	f := p.Flow
	if p.Sent == 0 {
		p.against(true, "nothing is kept of what the client said")
	}
	if f.Transport == flow.TCP && f.Opening == 0 && p.Sent > 0 {
		p.against(false, "it began before what is kept: its first bytes are not known")
	}
	for d, who := range []string{"the client", "the server"} {
		if t.gaps[d] > 0 {
			p.against(false, "bytes of what %s said are missing (gaps: %d), %d as far as is known (lost, or cut off by a snap length)", who, t.gaps[d], t.lost[d])
		}
	}
	if p.Order.Times > 1 && p.Sent*int64(p.Order.Times) > maxAll {
		p.against(true, "%d times %d bytes are more than the %d MiB that are sent at most", p.Order.Times, p.Sent, maxAll>>20)
	}
	if f.Transport == flow.TCP && f.State < dissect.Closed {
		p.note("the connection had not ended when it was read: what was said so far is replayed")
	}
	if p.Received == 0 && p.Sent > 0 {
		p.note("nothing is kept of what the server said: there is nothing to compare with")
	}
	if p.More > 0 {
		p.note("%d calls are more than are held: the first %d are compared", len(p.Calls)+p.More, len(p.Calls))
	}
}

// aim finds out where the plan goes, and from where.
func (d *Desk) aim(ctx context.Context, p *Plan) {
	recorded := p.Flow.Server.Addr
	p.Addr = netip.AddrPortFrom(recorded.Addr().Unmap(), recorded.Port())
	if err := d.position(p); err != nil {
		p.fails(err)
		return
	}
	if p.Order.To != "" {
		host, port, err := reach.ParseTarget(p.Order.To)
		if err != nil {
			p.fails(err)
			return
		}
		a, err := netip.ParseAddr(host)
		if err != nil {
			p.Name = host
			if a, err = p.resolve(ctx, host); err != nil {
				err = fmt.Errorf("%s: %w", host, err)
				// Who may not go anywhere is not told which names there are.
				if d.Guard != nil {
					if refusal := d.Guard(ctx, &reach.Request{Transport: p.Flow.Transport}); refusal != nil {
						err = refusal
					}
				}
				p.Addr = netip.AddrPort{}
				p.fails(err)
				return
			}
		}
		p.Addr = netip.AddrPortFrom(a.Unmap(), port)
	}
	p.request = reach.Request{Transport: p.Flow.Transport, Addr: p.Addr, Client: p.Flow.Client.Addr.Addr(), Bytes: reach.MaxBytes, Time: p.time()}
	if d.Guard != nil {
		if err := d.Guard(ctx, &p.request); err != nil {
			p.fails(err)
			return
		}
	}
	if d.Who != nil {
		p.Target = d.Who(p.Addr)
		p.moved()
	}
	if err := p.ask(ctx); err != nil {
		p.fails(err)
	}
}

// ask has whoever would open the connection judge it too.
func (p *Plan) ask(ctx context.Context) error {
	dry := p.request
	dry.Dry = true
	conn, err := p.from.Reach(ctx, &dry)
	if err != nil {
		return err
	}
	return conn.Close()
}

// slow is how many bytes a second a target must take and give at least.
const slow = 1 << 20

// time is how long one run may take at most: each turn its wait, all bytes theirs, and what the
// recording took where that is the pace.
func (p *Plan) time() time.Duration {
	most := time.Duration(len(p.Turns)+2)*p.Order.Wait + time.Duration((p.Sent+p.Received)/slow)*time.Second
	if p.Order.Pace.Timed && p.Order.Pace.Speed > 0 && len(p.Turns) > 0 {
		last := p.Turns[len(p.Turns)-1].Chunks
		most += time.Duration(float64(last[len(last)-1].At) / p.Order.Pace.Speed)
	}
	if most <= 0 || most > reach.MaxTime {
		most = reach.MaxTime
	}
	return most
}

// position finds the node that sends: the one that was asked for, else the client's own, else
// the one that saw the flow.
func (d *Desk) position(p *Plan) (err error) {
	if d.Here {
		if p.Order.Node != "" {
			return fmt.Errorf("node %s cannot be asked: connections are opened from this machine", p.Order.Node)
		}
		p.from, err = d.From("")
		return err
	}
	p.Node = p.Order.Node
	if p.Node == "" && p.Flow.Vantage != dissect.SideClient && p.Flow.Client.Identity != nil && p.Flow.Client.Identity.Node != "" {
		p.Node = p.Flow.Client.Identity.Node
		if p.from, err = d.From(p.Node); err == nil {
			return nil
		}
		p.Node = ""
	}
	if p.Node == "" {
		p.Node = p.Flow.Node
	}
	p.from, err = d.From(p.Node)
	return err
}

// resolve is the address of a name, of the recorded server's family if it has one.
func (p *Plan) resolve(ctx context.Context, host string) (netip.Addr, error) {
	found, err := p.from.Resolve(ctx, host)
	if err != nil {
		return netip.Addr{}, err
	}
	if len(found) == 0 {
		return netip.Addr{}, fmt.Errorf("%w has no address", reach.ErrTarget)
	}
	for _, a := range found {
		if a.Is4() == p.Flow.Server.Addr.Addr().Unmap().Is4() {
			return a, nil
		}
	}
	return found[0], nil
}

// moved compares who the recorded server was with who has its address now.
func (p *Plan) moved() {
	was := p.Flow.Server.Identity
	if p.Order.To != "" || was == nil || was.Name() == "" {
		return
	}
	now := dissect.Endpoint{Addr: p.Addr, Identity: p.Target}
	switch {
	case p.Target == nil:
		p.note("it is not known who has %s now; it was %s", p.Addr.Addr(), p.Flow.Server.Display())
	case was.Service != "" && was.Service == p.Target.Service && was.Namespace == p.Target.Namespace, identity.Equal(was, p.Target):
	case was.PodUID != "" && was.PodUID == p.Target.PodUID, was.Pod != "" && was.Pod == p.Target.Pod && was.Namespace == p.Target.Namespace:
	case was.Pod == "" && was.Service == "":
	default:
		p.against(false, "%s was %s and is %s now; give the target that you mean", p.Addr.Addr(), p.Flow.Server.Display(), strings.TrimSpace(now.Display()))
	}
}
