package dissect

import (
	"encoding/binary"
	"strconv"

	"github.com/sshark/sshark/pcap/flow"
)

// AppendCall appends the call as one JSON object, without a line end. The first keys are those
// that every call has: id time node protocol src dst summary stream; then, where known,
// elapsed_time, duration_us, error, incomplete and, of a call that was decrypted, tls; of a call
// that was seen at both ends vantage ("both"), network_time (how many microseconds more passed at
// the client between request and response) and client_seen (at which node and when); then the
// fields of the protocol. Those of both ends are known only where sightings are joined, and not
// where filters are judged, so no filter can ask for them. It does not allocate where dst has room.
func AppendCall(dst []byte, c *Call) []byte {
	f := c.Flow
	dst = append(dst, `{"id":`...)
	dst = strconv.AppendUint(dst, c.ID(), 10)
	dst = append(dst, `,"time":`...)
	dst = appendTime(dst, c.Time)
	dst = append(dst, `,"node":`...)
	dst = AppendString(dst, f.Node)
	dst = append(dst, `,"protocol":`...)
	dst = AppendString(dst, c.Protocol.Name)
	dst = append(dst, `,"src":`...)
	dst = appendEndpoint(dst, c.Src())
	dst = append(dst, `,"dst":`...)
	dst = appendEndpoint(dst, c.Dst())
	dst = append(dst, `,"summary":"`...)
	from := len(dst)
	if c.Message != nil {
		dst = c.Message.AppendSummary(dst)
	}
	dst = quoteTail(dst, from)
	dst = append(dst, `,"stream":`...)
	dst = appendID(dst, f.ID)
	if ns, ok := c.Elapsed(); ok {
		dst = append(dst, `,"elapsed_time":`...)
		dst = strconv.AppendInt(dst, ns/1000, 10)
	}
	if ns, ok := c.Duration(); ok {
		dst = append(dst, `,"duration_us":`...)
		dst = strconv.AppendInt(dst, ns/1000, 10)
	}
	switch {
	case c.Error:
		dst = append(dst, `,"error":true`...)
	case c.ResponseStart != 0:
		dst = append(dst, `,"error":false`...)
	}
	if c.Incomplete {
		dst = append(dst, `,"incomplete":true`...)
	}
	if c.Decrypted {
		dst = append(dst, `,"tls":true`...)
	}
	if c.Client != nil {
		dst = appendSeen(dst, c)
	}
	if c.Message != nil {
		dst = c.Message.AppendFields(dst)
	}
	return append(dst, '}')
}

// appendSeen appends what is known of a call from having been seen at both ends.
func appendSeen(dst []byte, c *Call) []byte {
	dst = append(dst, `,"vantage":"both"`...)
	if ns, ok := c.Network(); ok {
		dst = append(dst, `,"network_time":`...)
		dst = strconv.AppendInt(dst, ns/1000, 10)
	}
	dst = append(dst, `,"client_seen":{"node":`...)
	dst = AppendString(dst, c.Client.Node)
	dst = append(dst, `,"time":`...)
	dst = appendTime(dst, c.Client.Time)
	return append(dst, '}')
}

// AppendFlow appends the flow as one JSON object, without a line end. Here protocol is that of
// layer 4. flow_local_… counts what the side where it was captured sent (the client, where
// that is not known; the server, where it was captured at both ends), flow_remote_… what the
// other one sent.
func AppendFlow(dst []byte, f *Flow) []byte {
	dst = append(dst, `{"id":`...)
	dst = strconv.AppendUint(dst, uint64(f.ID), 10)
	dst = append(dst, `,"time":`...)
	dst = appendTime(dst, f.First)
	dst = append(dst, `,"end":`...)
	dst = appendTime(dst, f.Last)
	dst = append(dst, `,"node":`...)
	dst = AppendString(dst, f.Node)
	dst = append(dst, `,"protocol":`...)
	dst = AppendString(dst, f.Transport.String())
	dst = append(dst, `,"src":`...)
	dst = appendEndpoint(dst, &f.Client)
	dst = append(dst, `,"dst":`...)
	dst = appendEndpoint(dst, &f.Server)
	dst = append(dst, `,"stream":`...)
	dst = appendID(dst, f.ID)
	dst = append(dst, `,"packets":`...)
	dst = strconv.AppendUint(dst, f.Packets[0]+f.Packets[1], 10)
	dst = append(dst, `,"bytes":`...)
	dst = strconv.AppendUint(dst, f.Bytes[0]+f.Bytes[1], 10)
	dst = append(dst, `,"flow_state":`...)
	dst = AppendString(dst, f.State.String())
	if f.State == Reset {
		dst = append(dst, `,"reset":true`...)
	}
	dst = append(dst, `,"flow_l7_detected":[`...)
	if f.Protocol != nil {
		dst = AppendString(dst, f.Protocol.Title)
	}
	dst = append(dst, `],"flow_local_pkts":`...)
	local := 0
	if f.Vantage == SideServer || f.Vantage == SideBoth {
		local = 1
	}
	dst = strconv.AppendUint(dst, f.Packets[local], 10)
	dst = append(dst, `,"flow_local_bytes":`...)
	dst = strconv.AppendUint(dst, f.Bytes[local], 10)
	dst = append(dst, `,"flow_remote_pkts":`...)
	dst = strconv.AppendUint(dst, f.Packets[1-local], 10)
	dst = append(dst, `,"flow_remote_bytes":`...)
	dst = strconv.AppendUint(dst, f.Bytes[1-local], 10)
	if f.Vantage != SideUnknown {
		dst = append(dst, `,"vantage":`...)
		dst = AppendString(dst, f.Vantage.String())
	}
	if lost := f.Lost[0] + f.Lost[1]; lost > 0 {
		dst = append(dst, `,"lost_bytes":`...)
		dst = strconv.AppendUint(dst, lost, 10)
	}
	return append(dst, '}')
}

// appendEndpoint appends ip, port, and what is known of the identity, with the filter's names
// below src and dst: src.pod.name is the member name of the member pod.
func appendEndpoint(dst []byte, e *Endpoint) []byte {
	dst = append(dst, `{"ip":"`...)
	if a := e.Addr.Addr(); a.IsValid() {
		if a.Zone() != "" {
			a = a.WithZone("")
		}
		dst = a.AppendTo(dst)
	}
	dst = append(dst, `","port":`...)
	dst = strconv.AppendUint(dst, uint64(e.Addr.Port()), 10)
	if i := e.Identity; i != nil {
		dst = appendKnown(dst, `,"name":`, i.Name())
		dst = appendKnown(dst, `,"namespace":`, i.Namespace)
		dst = appendNamed(dst, `,"pod":{"name":`, i.Pod, i.Namespace)
		dst = appendNamed(dst, `,"service":{"name":`, i.Service, i.Namespace)
		dst = appendKnown(dst, `,"workload":`, i.Workload)
		dst = appendKnown(dst, `,"node":`, i.Node)
		dst = appendKnown(dst, `,"dns":`, i.DNS)
		if len(i.Labels) > 0 {
			dst = append(dst, `,"labels":`...)
			dst = appendLabels(dst, i.Labels)
		}
	}
	return append(dst, '}')
}

func appendKnown(dst []byte, key, value string) []byte {
	if value == "" {
		return dst
	}
	return AppendString(append(dst, key...), value)
}

func appendNamed(dst []byte, key, name, namespace string) []byte {
	if name == "" {
		return dst
	}
	dst = AppendString(append(dst, key...), name)
	dst = appendKnown(dst, `,"namespace":`, namespace)
	return append(dst, '}')
}

// appendLabels appends the labels in the order of their keys, so that equal calls print
// equally. A pod has a handful: each next key is searched for, which needs no memory.
func appendLabels(dst []byte, labels map[string]string) []byte {
	dst = append(dst, '{')
	last := ""
	for n := range len(labels) {
		next, found := "", false
		for k := range labels {
			if (n == 0 || k > last) && (!found || k < next) {
				next, found = k, true
			}
		}
		if n > 0 {
			dst = append(dst, ',')
		}
		dst = AppendString(dst, next)
		dst = append(dst, ':')
		dst = AppendString(dst, labels[next])
		last = next
	}
	return append(dst, '}')
}

// quoteTail turns dst[from:], raw text behind an opening quote, into the rest of a JSON
// string, in place unless something in it must be escaped.
func quoteTail(dst []byte, from int) []byte {
	raw := dst[from:]
	for _, c := range raw {
		if !plain[c] {
			// The escaped text is built behind the raw one, then moved over it. The view
			// stays valid if append moves dst: the old array is only read.
			end := len(dst)
			dst = AppendBytes(dst, raw)
			n := copy(dst[from-1:], dst[end:])
			return dst[:from-1+n]
		}
	}
	return append(dst, '"')
}

// appendID appends the flow's ID as a JSON string, as flow.ID.String writes it.
func appendID(dst []byte, id flow.ID) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for shift := 48; shift >= 0; shift -= 4 {
		dst = append(dst, hex[uint64(id)>>shift&15])
	}
	return append(dst, '"')
}

// appendTime appends a quoted AppendTime.
func appendTime(dst []byte, ns int64) []byte {
	return append(AppendTime(append(dst, '"'), ns), '"')
}

// AppendTime appends a time, ns since 1970 UTC, as RFC 3339 with all nine digits of the
// nanoseconds, in UTC.
func AppendTime(dst []byte, ns int64) []byte {
	const day = 86400
	sec, frac := ns/1e9, ns%1e9
	if frac < 0 {
		sec, frac = sec-1, frac+1e9
	}
	days, rest := sec/day, sec%day
	if rest < 0 {
		days, rest = days-1, rest+day
	}
	// The calendar is counted from March of year 0, in eras of 400 years (146,097 days), so
	// that the leap day is a year's last one.
	z := days + 719468
	era := z / 146097 // int64 nanoseconds reach back to 1677 only: never negative
	doe := z - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	d := doy - (153*mp+2)/5 + 1
	m := mp + 3
	y := yoe + era*400
	if m > 12 {
		m -= 12
		y++
	}
	dst = append(dst, "0000-00-00T00:00:00.000000000Z"...)
	b := dst[len(dst)-30:]
	two(b[0:], y/100)
	two(b[2:], y%100)
	two(b[5:], m)
	two(b[8:], d)
	two(b[11:], rest/3600)
	two(b[14:], rest/60%60)
	two(b[17:], rest%60)
	b[20] += byte(frac / 1e8)
	two(b[21:], frac/1e6%100)
	two(b[23:], frac/1e4%100)
	two(b[25:], frac/100%100)
	two(b[27:], frac%100)
	return dst
}

const digits = "00010203040506070809" +
	"10111213141516171819" +
	"20212223242526272829" +
	"30313233343536373839" +
	"40414243444546474849" +
	"50515253545556575859" +
	"60616263646566676869" +
	"70717273747576777879" +
	"80818283848586878889" +
	"90919293949596979899"

func two(b []byte, n int64) {
	binary.LittleEndian.PutUint16(b, uint16(digits[n*2])|uint16(digits[n*2+1])<<8)
}
