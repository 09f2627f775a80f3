package filter

import (
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
)

// kfl2 are the names of KFL2 by type. "{a,b}" stands for a name with each.
var kfl2 = map[string]string{
	"string": `{src,dst}.ip protocol {src,dst}.{name,namespace,dns} {src,dst}.{pod,service}.{name,namespace}
		node_name node_ip local_node_name remote_node_name local_resolution_status remote_resolution_status node_id stream worker
		method url path http_version grpc_method tls_summary tls_info tlsx_sni tlsx_alpn tlsx_summary tlsx_info
		tcp_method tcp_error_type tcp_error_message sctp_chunk_type icmp_type ws_opcode ws_request_payload_data
		redis_type redis_command redis_key kafka_api_key_name kafka_client_id kafka_request_summary
		amqp_method amqp_summary ldap_type ldap_summary diameter_method diameter_summary radius_code_name radius_request_authenticator
		mongodb_{command,database,collection,opcode,error_message,error_code_name} mysql_{command,query,database,error_message}
		postgresql_{command,query,database,user,error_message,error_code} {conn,flow}_state`,
	"int": `{src,dst}.port id index elapsed_time conn_id flow_id status_code {request,response}_{headers,body}_size grpc_status
		dns_{request_length,response_length,total_size} tls_{request,response,total}_size tlsx_cipher_suite tlsx_version
		udp_length udp_checksum sctp_checksum sctp_length icmp_version icmp_length ws_{request,response}_payload_length
		redis_{request,response,total}_size kafka_api_key kafka_size kafka_{request,response}_size
		{amqp,ldap,diameter,radius}_{request_length,response_length,total_size} radius_code
		mongodb_error_code mongodb_{request,response,total}_size mysql_statement_id mysql_error_code mysql_{request,response,total}_size
		postgresql_{request,response,total}_size {conn,flow}_{local,remote}_{pkts,bytes} {conn,flow}_group_id flow_{local,remote}_{pps,bps}`,
	"bool": `has_pcap http grpc gql gqlv1 gqlv2 ws dns tls tlsx tcp udp sctp icmp redis kafka amqp ldap radius diameter mongodb mysql
		postgresql conn flow {tcp,udp}_{conn,flow} {dns,ws,kafka,amqp,ldap,diameter,radius}_{request,response} {mongodb,mysql,postgresql}_success`,
	"list(string)": `namespaces pods services dns_resolutions dns_questions dns_answers dns_question_types tlsx_cipher_suites {conn,flow}_l7_detected`,
	"map(string, string)": `node local_labels remote_labels local_annotations remote_annotations query_string
		{request,response}.{headers,cookies}`,
	"timestamp": "timestamp",
	"bytes":     "tcp_payload udp_payload",
}

// expand writes out the braces of one name.
func expand(name string) []string {
	before, rest, ok := strings.Cut(name, "{")
	if !ok {
		return []string{name}
	}
	alts, after, _ := strings.Cut(rest, "}")
	var out []string
	for _, a := range strings.Split(alts, ",") {
		out = append(out, expand(before+a+after)...)
	}
	return out
}

// TestKFL2Fields: all of them are there with their type, with and without parsers.
func TestKFL2Fields(t *testing.T) {
	for _, protocols := range [][]*dissect.Protocol{nil, testList} {
		l, err := New(protocols)
		if err != nil {
			t.Fatal(err)
		}
		types := map[string]string{}
		for _, d := range l.Fields() {
			types[d.Name] = d.Type
		}
		n := 0
		for want, names := range kfl2 {
			for _, pattern := range strings.Fields(names) {
				for _, name := range expand(pattern) {
					n++
					if types[name] != want {
						t.Errorf("%s: type %q, want %s", name, types[name], want)
					}
				}
			}
		}
		if n < 200 {
			t.Errorf("only %d names", n)
		}
		for name := range refused {
			if _, err := l.Compile(name + ` == "x"`); err == nil || !strings.Contains(err.Error(), "cannot be known here") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestDerived: what KFL2 has of protocols that declare nothing of it.
func TestDerived(t *testing.T) {
	c := httpCall()
	c.Error = false
	on := func(name string, reverse bool, fields ...dissect.Field) func(src string) {
		p := &dissect.Protocol{Name: name, Title: strings.ToUpper(name), Fields: fields}
		l, err := New([]*dissect.Protocol{p})
		if err != nil {
			t.Fatal(err)
		}
		call := *c
		call.Protocol, call.Reverse = p, reverse
		call.Message = &message{summary: "one line", fields: map[string]any{"ws_size": int64(5), "http_version": "HTTP/2.0"}}
		return func(src string) {
			t.Helper()
			f := compile(t, l, src)
			if ok, err := f.Call(&call); !ok || err != nil {
				t.Errorf("%s: %s: %v, %v", name, src, ok, err)
			}
			checkVerdict(t, f, &call)
		}
	}
	on("mysql", false)("mysql && mysql_success && mysql_request_size == 300 && mysql_response_size == 700 && mysql_total_size == 1000 && !mongodb_success && redis_total_size == 0")
	on("kafka", false)(`kafka_request && kafka_response && kafka_size == 1000 && kafka_request_summary == "one line"`)
	on("amqp", false)(`amqp_request && amqp_total_size == 1000 && amqp_summary == "one line" && ldap_summary == ""`)
	on("radius", false)("radius && radius_request_length == 300 && radius_response")
	on("tlsx", false)(`tlsx && !tls && tls_total_size == 1000 && tlsx_summary == "one line" && !http`)
	ws := declare(dissect.Int, "ws_size")
	on("ws", false, ws...)("ws && ws_request && !ws_response && ws_request_payload_length == 5 && ws_response_payload_length == 0")
	on("ws", true, ws...)("ws_response && ws_response_payload_length == 5 && ws_request_payload_length == 0 && src.name == 'cart'")
	version := declare(dissect.String, "http_version")
	on("gql", false, version...)("gql && gqlv2 && !gqlv1 && http && http2")
	on("gql", false)("gql && gqlv1 && !gqlv2 && http && !http2")
	on("grpc", false)("grpc && http2 && http && grpc_status == -1")
	on("mdns", false)("dns && mdns")
	on("own", false)("own && !http")
}
