package filter

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/sshark/sshark/dissect"
)

// refused are the fields of KFL2 that nothing here can know, with the reason.
var refused = map[string]string{
	"local_process_name":  "packets do not say which process sent them",
	"remote_process_name": "packets do not say which process sent them",
	"capture_source":      "there is one source, the packets as they were captured; tls tells what was decrypted",
	"capture_backend":     "there is one backend, which captures packets",
}

// later are keys of calls and flows in JSON that are not known yet when a filter is judged, with
// the reason.
var later = map[string]string{
	"vantage":          "a filter judges what one end saw, before both are told as one; --vantage client, server or both chooses",
	"network_time":     "a filter judges what one end saw, before both are told as one",
	"client_seen.node": "a filter judges what one end saw, before both are told as one; node_name is the node where that was",
	"client_seen.time": "a filter judges what one end saw, before both are told as one; time is when that was",
}

// kflField is a field that KFL2 has for a protocol. It is declared here as long as no protocol
// declares it; what a call says without its protocol's help is derived.
type kflField struct {
	name    string
	kind    kind
	owner   string // the protocol, or several with blanks between
	help    string
	example string
	alias   string // a field of the owner that is the same under our name
	derive  func(*subject) ref.Val
	zero    ref.Val
	body    bool // it is read from a body
}

const httpNames = "http grpc gql"

var kflFields = slices.Concat([]kflField{
	{name: "method", kind: str, owner: httpNames, help: "request method", example: `"GET"`},
	{name: "url", kind: str, owner: httpNames, help: "URL as it was sent", example: `"/cart?id=1"`},
	{name: "path", kind: str, owner: httpNames, help: "path of the URL", example: `"/cart"`},
	{name: "http_version", kind: str, owner: httpNames, help: "version of HTTP", example: `"HTTP/1.1"`},
	{name: "status_code", kind: num, owner: httpNames + " dns", help: "status of the response", example: "404", alias: "dns_rcode"},
	{name: "query_string", kind: dict, owner: httpNames, help: "parameters of the URL", example: `"id"`},
	{name: "request.headers", kind: dict, owner: httpNames, help: "request headers, names in lower case", example: `"user-agent"`},
	{name: "response.headers", kind: dict, owner: httpNames, help: "response headers, names in lower case", example: `"content-type"`},
	{name: "request.cookies", kind: dict, owner: httpNames, help: "cookies of the request", example: `"session"`},
	{name: "response.cookies", kind: dict, owner: httpNames, help: "cookies that the response sets", example: `"session"`},
	{name: "request_headers_size", kind: num, owner: httpNames, help: "bytes of the request's headers"},
	{name: "request_body_size", kind: num, owner: httpNames, help: "bytes of the request's body"},
	{name: "response_headers_size", kind: num, owner: httpNames, help: "bytes of the response's headers"},
	{name: "response_body_size", kind: num, owner: httpNames, help: "bytes of the response's body"},

	{name: "grpc_method", kind: str, owner: "grpc", help: "last part of the path", example: `"SayHello"`},
	{name: "grpc_status", kind: num, owner: "grpc", help: "status of gRPC, -1 when it is not gRPC", example: "14", zero: types.Int(-1)},

	{name: "dns_questions", kind: strs, owner: "dns", help: "names that are asked for", example: `"example.com"`},
	{name: "dns_answers", kind: strs, owner: "dns", help: "answers", example: `"10.0.0.1"`},
	{name: "dns_question_types", kind: strs, owner: "dns", help: "types that are asked for", example: `"A"`},

	{name: "tls_summary", kind: str, owner: "tlsx", help: "the handshake in one line", derive: summary},
	{name: "tls_info", kind: str, owner: "tlsx", help: "details of the handshake"},
	{name: "tlsx_summary", kind: str, owner: "tlsx", help: "the handshake in one line", derive: summary},
	{name: "tlsx_info", kind: str, owner: "tlsx", help: "details of the handshake"},
	{name: "tlsx_sni", kind: str, owner: "tlsx", help: "server name that the client asks for", example: `"example.com"`},
	{name: "tlsx_alpn", kind: str, owner: "tlsx", help: "protocol that was agreed on", example: `"h2"`},
	{name: "tlsx_cipher_suite", kind: num, owner: "tlsx", help: "cipher suite that was chosen", example: "4865"},
	{name: "tlsx_version", kind: num, owner: "tlsx", help: "version of TLS", example: "772"},
	{name: "tlsx_cipher_suites", kind: strs, owner: "tlsx", help: "cipher suites on offer", example: `"TLS_AES_128_GCM_SHA256"`},

	{name: "tcp_method", kind: str, owner: "tcp", help: "what happened to the connection"},
	{name: "tcp_error_type", kind: str, owner: "tcp", help: "kind of a TCP error"},
	{name: "tcp_error_message", kind: str, owner: "tcp", help: "a TCP error in words"},
	{name: "tcp_payload", kind: octet, owner: "tcp", help: "payload that no protocol claimed"},
	{name: "udp_payload", kind: octet, owner: "udp", help: "payload that no protocol claimed"},
	{name: "udp_length", kind: num, owner: "udp", help: "length in the UDP header"},
	{name: "udp_checksum", kind: num, owner: "udp", help: "checksum in the UDP header"},
	{name: "sctp_checksum", kind: num, owner: "sctp", help: "checksum in the SCTP header"},
	{name: "sctp_chunk_type", kind: str, owner: "sctp", help: "type of the chunk"},
	{name: "sctp_length", kind: num, owner: "sctp", help: "length of the chunk"},
	{name: "icmp_type", kind: str, owner: "icmp", help: "name of the message's type"},
	{name: "icmp_version", kind: num, owner: "icmp", help: "4 or 6", example: "4"},
	{name: "icmp_length", kind: num, owner: "icmp", help: "length of the message"},

	{name: "ws_opcode", kind: str, owner: "ws", help: "kind of the frame", example: `"text"`},
	{name: "ws_request", kind: yes, owner: "ws", help: "sent by the client", derive: fromClient},
	{name: "ws_response", kind: yes, owner: "ws", help: "sent by the server", derive: fromServer},
	{name: "ws_request_payload_data", kind: str, owner: "ws", body: true, help: "payload of the client's message"},
	{name: "ws_request_payload_length", kind: num, owner: "ws", help: "bytes of the client's message", derive: messageSize(false)},
	{name: "ws_response_payload_length", kind: num, owner: "ws", help: "bytes of the server's message", derive: messageSize(true)},

	{name: "redis_type", kind: str, owner: "redis", help: "the verb", example: `"GET"`, alias: "redis_command"},
	{name: "redis_command", kind: str, owner: "redis", help: "the verb", example: `"GET"`},
	{name: "redis_key", kind: str, owner: "redis", help: "the key", example: `"session:1"`},

	{name: "kafka_api_key", kind: num, owner: "kafka", help: "number of the API", example: "1"},
	{name: "kafka_api_key_name", kind: str, owner: "kafka", help: "name of the API", example: `"PRODUCE"`},
	{name: "kafka_client_id", kind: str, owner: "kafka", help: "name that the client gives itself", example: `"billing"`},
	{name: "kafka_request_summary", kind: str, owner: "kafka", help: "the request in one line", derive: summary},
	{name: "kafka_size", kind: num, owner: "kafka", help: "bytes of request and response", derive: totalSize},

	{name: "amqp_method", kind: str, owner: "amqp", help: "the method", example: `"basic.publish"`},
	{name: "amqp_summary", kind: str, owner: "amqp", help: "the method in one line", derive: summary},
	{name: "ldap_type", kind: str, owner: "ldap", help: "the operation", example: `"bind"`},
	{name: "ldap_summary", kind: str, owner: "ldap", help: "the operation in one line", derive: summary},
	{name: "diameter_method", kind: str, owner: "diameter", help: "name of the command", example: `"Credit-Control"`},
	{name: "diameter_summary", kind: str, owner: "diameter", help: "the command in one line", derive: summary},
	{name: "radius_code", kind: num, owner: "radius", help: "code of the packet", example: "1"},
	{name: "radius_code_name", kind: str, owner: "radius", help: "name of the code", example: `"Access-Request"`},
	{name: "radius_request_authenticator", kind: str, owner: "radius", help: "authenticator of the request"},

	{name: "mongodb_command", kind: str, owner: "mongodb", help: "the command", example: `"find"`},
	{name: "mongodb_database", kind: str, owner: "mongodb", help: "the database", example: `"shop"`},
	{name: "mongodb_collection", kind: str, owner: "mongodb", help: "the collection", example: `"orders"`},
	{name: "mongodb_opcode", kind: str, owner: "mongodb", help: "kind of the message", example: `"OP_MSG"`},
	{name: "mongodb_error_message", kind: str, owner: "mongodb", help: "the error in words"},
	{name: "mongodb_error_code_name", kind: str, owner: "mongodb", help: "name of the error"},
	{name: "mongodb_error_code", kind: num, owner: "mongodb", help: "number of the error, 0 none"},
	{name: "mongodb_success", kind: yes, owner: "mongodb", help: "it was answered without an error", derive: success},

	{name: "mysql_command", kind: str, owner: "mysql", help: "the command", example: `"COM_QUERY"`},
	{name: "mysql_query", kind: str, owner: "mysql", help: "text of the query", example: `"SELECT 1"`},
	{name: "mysql_database", kind: str, owner: "mysql", help: "the database", example: `"shop"`},
	{name: "mysql_error_message", kind: str, owner: "mysql", help: "the error in words"},
	{name: "mysql_statement_id", kind: num, owner: "mysql", help: "number of the prepared statement"},
	{name: "mysql_error_code", kind: num, owner: "mysql", help: "number of the error, 0 none", example: "1064"},
	{name: "mysql_success", kind: yes, owner: "mysql", help: "it was answered without an error", derive: success},

	{name: "postgresql_command", kind: str, owner: "postgresql", help: "the command"},
	{name: "postgresql_query", kind: str, owner: "postgresql", help: "text of the query", example: `"SELECT 1"`},
	{name: "postgresql_database", kind: str, owner: "postgresql", help: "the database", example: `"shop"`},
	{name: "postgresql_user", kind: str, owner: "postgresql", help: "the user", example: `"shop"`},
	{name: "postgresql_error_message", kind: str, owner: "postgresql", help: "the error in words"},
	{name: "postgresql_error_code", kind: str, owner: "postgresql", help: "SQLSTATE of the error", example: `"42P01"`},
	{name: "postgresql_success", kind: yes, owner: "postgresql", help: "it was answered without an error", derive: success},
},
	kflSizes("tls", "tlsx", "size", true), kflSizes("redis", "redis", "size", true),
	kflSizes("kafka", "kafka", "size", false), kflSizes("mongodb", "mongodb", "size", true),
	kflSizes("mysql", "mysql", "size", true), kflSizes("postgresql", "postgresql", "size", true),
	kflSizes("dns", "dns", "length", true), kflSizes("amqp", "amqp", "length", true),
	kflSizes("ldap", "ldap", "length", true), kflSizes("diameter", "diameter", "length", true),
	kflSizes("radius", "radius", "length", true),
	kflParts("dns"), kflParts("kafka"), kflParts("amqp"), kflParts("ldap"), kflParts("diameter"), kflParts("radius"),
)

// kflSizes are the byte counts that most protocols have.
func kflSizes(prefix, owner, unit string, total bool) []kflField {
	out := []kflField{
		{name: prefix + "_request_" + unit, kind: num, owner: owner, help: "bytes of the request", derive: requestSize},
		{name: prefix + "_response_" + unit, kind: num, owner: owner, help: "bytes of the response", derive: responseSize},
	}
	if total {
		out = append(out, kflField{name: prefix + "_total_size", kind: num, owner: owner, help: "bytes of request and response", derive: totalSize})
	}
	return out
}

// kflParts say what of a pair is there.
func kflParts(owner string) []kflField {
	return []kflField{
		{name: owner + "_request", kind: yes, owner: owner, help: "the request was seen", derive: hasRequest},
		{name: owner + "_response", kind: yes, owner: owner, help: "the response was seen", derive: hasResponse},
	}
}

func requestSize(s *subject) ref.Val  { return number(s.call.RequestSize) }
func responseSize(s *subject) ref.Val { return number(s.call.ResponseSize) }
func totalSize(s *subject) ref.Val    { return number(s.call.RequestSize + s.call.ResponseSize) }
func hasRequest(s *subject) ref.Val   { return types.Bool(s.call.RequestEnd != 0) }
func hasResponse(s *subject) ref.Val  { return types.Bool(s.call.ResponseStart != 0) }
func fromClient(s *subject) ref.Val   { return types.Bool(!s.call.Reverse) }
func fromServer(s *subject) ref.Val   { return types.Bool(s.call.Reverse) }
func success(s *subject) ref.Val {
	return types.Bool(s.call.ResponseStart != 0 && !s.call.Error)
}

// messageSize is the size of a WebSocket message that the client (the server) sent.
func messageSize(server bool) func(*subject) ref.Val {
	return func(s *subject) ref.Val {
		f := s.filter.lang.fields["ws_size"]
		if f == nil || s.call.Reverse != server {
			return nil
		}
		v, _ := s.value(f)
		return v
	}
}

// addKFL declares one of the table, or completes what protocols declared of it.
func (l *Language) addKFL(k *kflField, protocols []*dissect.Protocol) error {
	f := l.fields[k.name]
	if f == nil {
		f = &field{name: k.name, kind: k.kind, help: k.help, example: k.example, scope: scopeCall, bound: true}
		l.add(f)
	}
	if f.kind != k.kind {
		return fmt.Errorf("protocol %s, field %s: its kind is not that of KFL2", f.owners[0], k.name)
	}
	f.zero, f.said = k.zero, true
	if k.body {
		f.scope = scopeBody
	}
	owners := strings.Fields(k.owner)
	if len(f.owners) == 0 {
		f.owners = owners
	}
	for _, p := range protocols {
		if !slices.Contains(owners, p.Name) {
			continue
		}
		if k.derive != nil {
			f.transports.addAll(p)
		}
		if slices.ContainsFunc(f.impls, func(i impl) bool { return i.protocol == p }) {
			continue
		}
		for i := range p.Fields {
			if pf := &p.Fields[i]; pf.Name == k.alias && kind(pf.Kind) == k.kind {
				f.implement(p, pf)
			}
		}
	}
	if k.derive != nil {
		f.get = func(s *subject) ref.Val {
			if !slices.Contains(owners, s.protocolName()) {
				return nil
			}
			return k.derive(s)
		}
	}
	return nil
}

// isHTTP says whether a protocol is carried in HTTP requests and responses.
func isHTTP(protocol string) bool {
	switch protocol {
	case "http", "http1", "http2", "grpc", "gql", "gqlv1", "gqlv2":
		return true
	}
	return false
}

func anyProtocol(string) bool { return true }

// isHTTP2 says whether a call was made over HTTP/2.
func isHTTP2(s *subject) bool {
	p := s.protocolName()
	if p == "http2" || !isHTTP(p) {
		return p == "http2"
	}
	v, _ := s.value(s.filter.lang.fields["http_version"])
	if version, ok := v.(types.String); ok {
		return strings.HasPrefix(strings.TrimPrefix(string(version), "HTTP/"), "2")
	}
	return p == "grpc"
}

// flagsOfOthers are the flags that are true for more, or less, than the protocol of their name.
var flagsOfOthers = []struct {
	name, help string
	of         func(protocol string) bool
	also       func(*subject) bool // nil: nothing more is asked
}{
	{"http", "HTTP of any version, with gRPC and GraphQL", isHTTP, nil},
	{"http2", "HTTP/2, with what is carried in it", isHTTP, isHTTP2},
	{"gql", "GraphQL", func(p string) bool { return strings.HasPrefix(p, "gql") }, nil},
	{"gqlv1", "GraphQL over HTTP/1", func(p string) bool { return strings.HasPrefix(p, "gql") }, func(s *subject) bool { return !isHTTP2(s) }},
	{"gqlv2", "GraphQL over HTTP/2", func(p string) bool { return strings.HasPrefix(p, "gql") }, isHTTP2},
	{"dns", "DNS, mDNS, LLMNR", func(p string) bool { return p == "dns" || p == "mdns" || p == "llmnr" }, nil},
	{"tlsx", "a TLS handshake", func(p string) bool { return p == "tlsx" }, nil},
	{"tls", "decrypted TLS", anyProtocol, func(s *subject) bool {
		return s.call != nil && s.call.Decrypted || s.call == nil && s.flow.Decrypted
	}},
}

// flagNames are the flags that exist whether or not there is a protocol for them.
const flagNames = "grpc ws redis kafka amqp ldap radius diameter mongodb mysql postgresql " +
	"mqtt nats cassandra memcached smtp ftp sip ntp dhcp quic ssh"

// addFlags declares a flag for each protocol.
func (l *Language) addFlags(protocols []*dissect.Protocol) error {
	add := func(name, help string, of func(string) bool, also func(*subject) bool) {
		f := &field{name: name, kind: yes, help: help, scope: scopeDetect, bound: true}
		for _, p := range protocols {
			if of(p.Name) {
				f.transports.addAll(p)
				f.owners = append(f.owners, p.Name)
			}
		}
		f.get = func(s *subject) ref.Val {
			return truth(of(s.protocolName()) && (also == nil || also(s)))
		}
		l.add(f)
	}
	flags := map[string]bool{"tcp": true, "udp": true, "sctp": true, "icmp": true}
	for _, f := range flagsOfOthers {
		add(f.name, f.help, f.of, f.also)
		flags[f.name] = true
	}
	plain := func(name, title string) {
		flags[name] = true
		add(name, "the protocol is "+title, func(p string) bool { return p == name }, nil)
	}
	for _, p := range protocols {
		switch {
		case flags[p.Name]:
		case l.fields[p.Name] != nil:
			return fmt.Errorf("protocol %s: there is a field of that name", p.Name)
		default:
			plain(p.Name, p.Title)
		}
	}
	for _, n := range strings.Fields(flagNames) {
		if !flags[n] {
			plain(n, n)
		}
	}
	return nil
}
