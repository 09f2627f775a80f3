package diameter

import "strconv"

// command is a kind of request.
type command struct {
	name  string
	boxed any // name, for filters
}

// commands are those of RFC 6733, of the applications of IETF, and of 3GPP (IANA, "AAA
// Parameters", command codes).
var commands = func() map[uint32]command {
	list := map[uint32]command{}
	for code, name := range map[uint32]string{
		257: "Capabilities-Exchange", 258: "Re-Auth", 260: "AA-Mobile-Node", 262: "Home-Agent-MIP", 265: "AA", 268: "Diameter-EAP", 271: "Accounting",
		272: "Credit-Control", 274: "Abort-Session", 275: "Session-Termination", 280: "Device-Watchdog", 282: "Disconnect-Peer",
		283: "User-Authorization", 284: "Server-Assignment", 285: "Location-Info", 286: "Multimedia-Auth", 287: "Registration-Termination", 288: "Push-Profile",
		300: "User-Authorization", 301: "Server-Assignment", 302: "Location-Info", 303: "Multimedia-Auth", 304: "Registration-Termination", 305: "Push-Profile",
		306: "User-Data", 307: "Profile-Update", 308: "Subscribe-Notifications", 309: "Push-Notification", 310: "Bootstrapping-Info", 311: "Message-Process",
		312: "GBAPush-Info", 313: "MBMS-Bearer", 314: "Bearer-Resource", 316: "Update-Location", 317: "Cancel-Location", 318: "Authentication-Information",
		319: "Insert-Subscriber-Data", 320: "Delete-Subscriber-Data", 321: "Purge-UE", 322: "Reset", 323: "Notify", 324: "ME-Identity-Check", 325: "MIP6",
		326: "QoS-Authorization", 327: "QoS-Install", 328: "Capabilities-Update", 329: "IKEv2-SK", 330: "NAT-Control",
		8388620: "Provide-Location", 8388621: "Location-Report", 8388622: "LCS-Routing-Info", 8388635: "Spending-Limit", 8388636: "Spending-Status-Notification",
		8388637: "TDF-Session", 8388638: "Update-VCSG-Location", 8388639: "Device-Action", 8388640: "Device-Notification", 8388641: "Subscriber-Information",
		8388642: "Cancel-VCSG-Location", 8388643: "Device-Trigger", 8388644: "Delivery-Report", 8388645: "MO-Forward-Short-Message", 8388646: "MT-Forward-Short-Message",
		8388647: "Send-Routing-Info-for-SM", 8388648: "Alert-Service-Centre", 8388649: "Report-SM-Delivery-Status", 8388718: "Configuration-Information",
		8388719: "Reporting-Information", 8388726: "NIDD-Information", 8388732: "MO-Data", 8388733: "MT-Data", 8388734: "Connection-Management",
	} {
		list[code] = command{name, name}
	}
	return list
}()

// either says whether a command is one that servers ask too: those that keep up the
// connection, and those that tell a client of a change.
func either(command uint32) bool {
	switch command {
	case 258, 274, 280, 282, 287, 288, 304, 305, 309, 317, 319, 320, 322, 8388636, 8388637:
		return true
	}
	return false
}

// results are names of result codes (RFC 6733, 7.1; RFC 8506, 9). Those of applications share
// numbers, so they have none here.
var results = map[int64]string{
	1001: "MULTI_ROUND_AUTH", 2001: "SUCCESS", 2002: "LIMITED_SUCCESS", 3001: "COMMAND_UNSUPPORTED", 3002: "UNABLE_TO_DELIVER", 3003: "REALM_NOT_SERVED", 3004: "TOO_BUSY",
	3005: "LOOP_DETECTED", 3006: "REDIRECT_INDICATION", 3007: "APPLICATION_UNSUPPORTED", 3008: "INVALID_HDR_BITS", 3009: "INVALID_AVP_BITS", 3010: "UNKNOWN_PEER",
	4001: "AUTHENTICATION_REJECTED", 4002: "OUT_OF_SPACE", 4003: "ELECTION_LOST", 4010: "END_USER_SERVICE_DENIED", 4011: "CREDIT_CONTROL_NOT_APPLICABLE",
	4012: "CREDIT_LIMIT_REACHED", 5001: "AVP_UNSUPPORTED", 5002: "UNKNOWN_SESSION_ID", 5003: "AUTHORIZATION_REJECTED", 5004: "INVALID_AVP_VALUE", 5005: "MISSING_AVP",
	5006: "RESOURCES_EXCEEDED", 5007: "CONTRADICTING_AVPS", 5008: "AVP_NOT_ALLOWED", 5009: "AVP_OCCURS_TOO_MANY_TIMES", 5010: "NO_COMMON_APPLICATION",
	5011: "UNSUPPORTED_VERSION", 5012: "UNABLE_TO_COMPLY", 5013: "INVALID_BIT_IN_HEADER", 5014: "INVALID_AVP_LENGTH", 5015: "INVALID_MESSAGE_LENGTH",
	5016: "INVALID_AVP_BIT_COMBO", 5017: "NO_COMMON_SECURITY", 5030: "USER_UNKNOWN", 5031: "RATING_FAILED",
}

// appendResult appends the name of a result code, or the code.
func appendResult(dst []byte, code int64, own bool) []byte {
	if name := results[code]; name != "" && !own {
		return append(dst, name...)
	}
	return strconv.AppendInt(dst, code, 10)
}
