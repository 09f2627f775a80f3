package amqp

import "encoding/binary"

// method is one of the protocol's (specification, 1.3 to 1.8; RabbitMQ's extensions).
type method struct {
	class, id uint16
	name      string
	from      byte // 'c': only clients send it, 's': only servers, 'b': both
	// args are its arguments as far as they matter: o h i l are numbers of 1, 2, 4 and 8 bytes,
	// s is a short string; E an exchange, R a routing key, Q a queue, V a virtual host, T a
	// consumer's tag, C a reply code, X its text.
	args    string
	content bool // a content header and a body follow
	reply   bool // it answers another
}

const (
	classConnection = 10
	classBasic      = 60
)

var methods = [...]method{
	{class: 10, id: 10, name: "connection.start", from: 's'},
	{class: 10, id: 11, name: "connection.start-ok", from: 'c', reply: true},
	{class: 10, id: 20, name: "connection.secure", from: 's'},
	{class: 10, id: 21, name: "connection.secure-ok", from: 'c', reply: true},
	{class: 10, id: 30, name: "connection.tune", from: 's'},
	{class: 10, id: 31, name: "connection.tune-ok", from: 'c', reply: true},
	{class: 10, id: 40, name: "connection.open", from: 'c', args: "V"},
	{class: 10, id: 41, name: "connection.open-ok", from: 's', reply: true},
	{class: 10, id: 50, name: "connection.close", from: 'b', args: "CX"},
	{class: 10, id: 51, name: "connection.close-ok", from: 'b', reply: true},
	{class: 10, id: 60, name: "connection.blocked", from: 's', args: "X"},
	{class: 10, id: 61, name: "connection.unblocked", from: 's'},
	{class: 10, id: 70, name: "connection.update-secret", from: 'c'},
	{class: 10, id: 71, name: "connection.update-secret-ok", from: 's', reply: true},
	{class: 20, id: 10, name: "channel.open", from: 'c'},
	{class: 20, id: 11, name: "channel.open-ok", from: 's', reply: true},
	{class: 20, id: 20, name: "channel.flow", from: 'b'},
	{class: 20, id: 21, name: "channel.flow-ok", from: 'b', reply: true},
	{class: 20, id: 40, name: "channel.close", from: 'b', args: "CX"},
	{class: 20, id: 41, name: "channel.close-ok", from: 'b', reply: true},
	{class: 30, id: 10, name: "access.request", from: 'c'},
	{class: 30, id: 11, name: "access.request-ok", from: 's', reply: true},
	{class: 40, id: 10, name: "exchange.declare", from: 'c', args: "hE"},
	{class: 40, id: 11, name: "exchange.declare-ok", from: 's', reply: true},
	{class: 40, id: 20, name: "exchange.delete", from: 'c', args: "hE"},
	{class: 40, id: 21, name: "exchange.delete-ok", from: 's', reply: true},
	{class: 40, id: 30, name: "exchange.bind", from: 'c', args: "hEsR"},
	{class: 40, id: 31, name: "exchange.bind-ok", from: 's', reply: true},
	{class: 40, id: 40, name: "exchange.unbind", from: 'c', args: "hEsR"},
	{class: 40, id: 51, name: "exchange.unbind-ok", from: 's', reply: true},
	{class: 50, id: 10, name: "queue.declare", from: 'c', args: "hQ"},
	{class: 50, id: 11, name: "queue.declare-ok", from: 's', args: "Q", reply: true},
	{class: 50, id: 20, name: "queue.bind", from: 'c', args: "hQER"},
	{class: 50, id: 21, name: "queue.bind-ok", from: 's', reply: true},
	{class: 50, id: 30, name: "queue.purge", from: 'c', args: "hQ"},
	{class: 50, id: 31, name: "queue.purge-ok", from: 's', reply: true},
	{class: 50, id: 40, name: "queue.delete", from: 'c', args: "hQ"},
	{class: 50, id: 41, name: "queue.delete-ok", from: 's', reply: true},
	{class: 50, id: 50, name: "queue.unbind", from: 'c', args: "hQER"},
	{class: 50, id: 51, name: "queue.unbind-ok", from: 's', reply: true},
	{class: 60, id: 10, name: "basic.qos", from: 'c'},
	{class: 60, id: 11, name: "basic.qos-ok", from: 's', reply: true},
	{class: 60, id: 20, name: "basic.consume", from: 'c', args: "hQT"},
	{class: 60, id: 21, name: "basic.consume-ok", from: 's', args: "T", reply: true},
	{class: 60, id: 30, name: "basic.cancel", from: 'b', args: "T"},
	{class: 60, id: 31, name: "basic.cancel-ok", from: 'b', args: "T", reply: true},
	{class: 60, id: 40, name: "basic.publish", from: 'c', args: "hER", content: true},
	{class: 60, id: 50, name: "basic.return", from: 's', args: "CXER", content: true},
	{class: 60, id: 60, name: "basic.deliver", from: 's', args: "TloER", content: true},
	{class: 60, id: 70, name: "basic.get", from: 'c', args: "hQ"},
	{class: 60, id: 71, name: "basic.get-ok", from: 's', args: "loER", content: true, reply: true},
	{class: 60, id: 72, name: "basic.get-empty", from: 's', reply: true},
	{class: 60, id: 80, name: "basic.ack", from: 'b'},
	{class: 60, id: 90, name: "basic.reject", from: 'c'},
	{class: 60, id: 100, name: "basic.recover-async", from: 'c'},
	{class: 60, id: 110, name: "basic.recover", from: 'c'},
	{class: 60, id: 111, name: "basic.recover-ok", from: 's', reply: true},
	{class: 60, id: 120, name: "basic.nack", from: 'b'},
	{class: 85, id: 10, name: "confirm.select", from: 'c'},
	{class: 85, id: 11, name: "confirm.select-ok", from: 's', reply: true},
	{class: 90, id: 10, name: "tx.select", from: 'c'},
	{class: 90, id: 11, name: "tx.select-ok", from: 's', reply: true},
	{class: 90, id: 20, name: "tx.commit", from: 'c'},
	{class: 90, id: 21, name: "tx.commit-ok", from: 's', reply: true},
	{class: 90, id: 30, name: "tx.rollback", from: 'c'},
	{class: 90, id: 31, name: "tx.rollback-ok", from: 's', reply: true},
}

// refusal is what a server sends that does not speak the client's version: its own protocol
// header. It is no method, but told as one, since nothing else says why there is none.
var refusal = method{name: "protocol-header", from: 's', reply: true}

// byNumber are the methods by class and ID, both of which are small.
var byNumber = func() (t [128][128]*method) {
	for i := range methods {
		t[methods[i].class][methods[i].id] = &methods[i]
	}
	return t
}()

// methodOf is the method that a payload of at least four bytes begins with, nil: none that is
// known.
func methodOf(b []byte) *method {
	class, id := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	if int(class) >= len(byNumber) || int(id) >= len(byNumber[0]) {
		return nil
	}
	return byNumber[class][id]
}

// arg returns the first argument of a kind, as far as it is there; nil: the method has none.
// b is the payload behind class and ID.
func (m *method) arg(b []byte, kind byte) []byte {
	for i := 0; i < len(m.args); i++ {
		n := 0
		switch m.args[i] {
		case 'o':
			n = 1
		case 'h', 'C':
			n = 2
		case 'i':
			n = 4
		case 'l':
			n = 8
		default:
			if len(b) == 0 {
				return nil
			}
			n, b = int(b[0]), b[1:]
		}
		if n > len(b) {
			if m.args[i] == kind && kind != 'C' {
				return b
			}
			return nil
		}
		if m.args[i] == kind {
			return b[:n]
		}
		b = b[n:]
	}
	return nil
}
