package helm_test

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sshark/sshark/sshd/auth"
)

// pods are the templates of pods among objects, by the component's name.
func pods(t *testing.T, all map[string]object) map[string]object {
	t.Helper()
	found := map[string]object{}
	for _, o := range all {
		template, ok := at(o, "spec", "template").(object)
		if !ok {
			continue
		}
		name, _ := at(template, "metadata", "labels", "app.kubernetes.io/component").(string)
		found[name] = template
	}
	if len(found) != 2 || found["worker"] == nil || found["hub"] == nil {
		t.Fatalf("pods of %q, want worker and hub", slices.Sorted(maps.Keys(found)))
	}
	return found
}

// container is the only one of a pod.
func container(t *testing.T, pod object) object {
	t.Helper()
	all := list(pod, "spec", "containers")
	if len(all) != 1 || at(pod, "spec", "initContainers") != nil {
		t.Fatalf("%d containers, and %v to begin with; want one", len(all), at(pod, "spec", "initContainers"))
	}
	return all[0].(object)
}

// want compares what stands at a path.
func want(t *testing.T, o any, value any, path ...any) {
	t.Helper()
	if got := at(o, path...); !reflect.DeepEqual(got, value) {
		t.Errorf("%v: %v, want %v", path, got, value)
	}
}

func strs(v []any) (all []string) {
	for _, s := range v {
		all = append(all, fmt.Sprint(s))
	}
	return all
}

// TestWorkerProfile states what the worker may, which is all that it may.
func TestWorkerProfile(t *testing.T) {
	for name, values := range valueSets(t) {
		t.Run(name, func(t *testing.T) {
			pod := pods(t, objects(t, values))["worker"]
			c := container(t, pod)
			got := strs(list(c, "securityContext", "capabilities", "add"))
			if w := []string{"BPF", "NET_ADMIN", "NET_RAW", "PERFMON", "SYS_ADMIN", "SYS_PTRACE"}; !slices.Equal(got, w) {
				t.Errorf("capabilities %q, want %q", got, w)
			}
			want(t, c, []any{"ALL"}, "securityContext", "capabilities", "drop")
			want(t, c, false, "securityContext", "privileged")
			want(t, c, false, "securityContext", "allowPrivilegeEscalation")
			want(t, c, "RuntimeDefault", "securityContext", "seccompProfile", "type")
			want(t, pod, true, "spec", "hostPID")
			want(t, pod, nil, "spec", "hostNetwork")
			want(t, pod, nil, "spec", "hostIPC")
			want(t, pod, false, "spec", "automountServiceAccountToken")
			for _, v := range list(pod, "spec", "volumes") {
				if path := at(v, "hostPath", "path"); path != nil && path != "/var/lib/sshark" {
					t.Errorf("the node's folder %v is mounted", path)
				}
			}
		})
	}
}

// TestHubIsRestricted compares the hub with the restricted profile of the Pod Security Standards
// (https://kubernetes.io/docs/concepts/security/pod-security-standards/).
func TestHubIsRestricted(t *testing.T) {
	for name, values := range valueSets(t) {
		t.Run(name, func(t *testing.T) {
			pod := pods(t, objects(t, values))["hub"]
			c := container(t, pod)
			for _, key := range []string{"hostPID", "hostNetwork", "hostIPC", "hostUsers"} {
				want(t, pod, nil, "spec", key)
			}
			want(t, pod, true, "spec", "securityContext", "runAsNonRoot")
			want(t, pod, float64(65532), "spec", "securityContext", "runAsUser")
			want(t, pod, "RuntimeDefault", "spec", "securityContext", "seccompProfile", "type")
			want(t, c, false, "securityContext", "privileged")
			want(t, c, false, "securityContext", "allowPrivilegeEscalation")
			want(t, c, object{"drop": []any{"ALL"}}, "securityContext", "capabilities")
			for _, key := range []string{"runAsUser", "runAsNonRoot", "seccompProfile", "procMount"} {
				want(t, c, nil, "securityContext", key)
			}
			allowed := []string{"configMap", "emptyDir", "persistentVolumeClaim", "secret"}
			for _, v := range list(pod, "spec", "volumes") {
				for kind := range v.(object) {
					if kind != "name" && !slices.Contains(allowed, kind) {
						t.Errorf("volume %v is a %s", at(v, "name"), kind)
					}
				}
				// Nobody's files but root's: the group must be able to read them.
				if at(v, "secret") != nil {
					want(t, v, float64(0o440), "secret", "defaultMode")
				}
			}
			want(t, pod, float64(65532), "spec", "securityContext", "fsGroup")
		})
	}
}

// TestContainers holds for each container.
func TestContainers(t *testing.T) {
	for name, values := range valueSets(t) {
		image := "ghcr.io/sshark/sshark:0.1.0"
		if name == "team" {
			image = "registry.example.com/tools/sshark:v1.2.3"
		}
		for component, pod := range pods(t, objects(t, values)) {
			t.Run(name+"/"+component, func(t *testing.T) {
				c := container(t, pod)
				want(t, c, image, "image")
				want(t, c, component, "args", 0)
				want(t, c, true, "securityContext", "readOnlyRootFilesystem")
				want(t, c, "/healthz", "livenessProbe", "httpGet", "path")
				want(t, c, "/readyz", "readinessProbe", "httpGet", "path")
				for _, r := range []string{"cpu", "memory"} {
					if at(c, "resources", "requests", r) == nil {
						t.Errorf("it asks for no %s", r)
					}
				}
				if at(c, "resources", "limits", "memory") == nil {
					t.Error("its memory has no limit")
				}
				for _, m := range list(c, "volumeMounts") {
					if at(m, "subPath") != nil {
						t.Errorf("%v is mounted with subPath: what changes would never appear", at(m, "name"))
					}
				}
			})
		}
	}
}

// TestAccess states the whole of what the release may ask of the API server.
func TestAccess(t *testing.T) {
	read := []any{"get", "list", "watch"}
	wanted := []any{
		object{"apiGroups": []any{""}, "resources": []any{"pods", "services", "nodes", "namespaces"}, "verbs": read},
		object{"apiGroups": []any{"discovery.k8s.io"}, "resources": []any{"endpointslices"}, "verbs": read},
		object{"apiGroups": []any{"apps"}, "resources": []any{"replicasets"}, "verbs": read},
		object{"apiGroups": []any{"batch"}, "resources": []any{"jobs"}, "verbs": read},
		object{"apiGroups": []any{"authentication.k8s.io"}, "resources": []any{"tokenreviews"}, "verbs": []any{"create"}},
		object{"apiGroups": []any{"authorization.k8s.io"}, "resources": []any{"subjectaccessreviews"}, "verbs": []any{"create"}},
	}
	for name, values := range valueSets(t) {
		t.Run(name, func(t *testing.T) {
			roles := 0
			for key, o := range objects(t, values) {
				kind, _, _ := strings.Cut(key, "/")
				switch kind {
				case "ClusterRole":
					roles++
					want(t, o, wanted, "rules")
				case "ClusterRoleBinding":
					if who := strs(list(o, "subjects")); len(who) != 1 {
						t.Errorf("bound to %q", who)
					}
					if who, _ := at(o, "subjects", 0, "name").(string); !strings.HasSuffix(who, "-hub") {
						t.Errorf("bound to %s", who)
					}
				case "Role", "RoleBinding":
					t.Errorf("%s: want none", key)
				}
			}
			if roles != 1 {
				t.Errorf("%d ClusterRoles, want 1", roles)
			}
		})
	}
}

// TestNetworkPolicies: the worker hears the hub, and speaks to nobody but pods, for replays.
func TestNetworkPolicies(t *testing.T) {
	all := objects(t, "")
	worker := all["NetworkPolicy/sshark-worker"]
	want(t, worker, []any{object{"to": []any{object{"namespaceSelector": object{}}}}}, "spec", "egress")
	team := objects(t, valueSets(t)["team"])["NetworkPolicy/sshark-worker"]
	want(t, team, "10.20.0.0/16", "spec", "egress", 0, "to", 1, "ipBlock", "cidr")
	// Without replays it speaks to nobody.
	want(t, objects(t, "replay: {enabled: false}")["NetworkPolicy/sshark-worker"], []any{}, "spec", "egress")
	want(t, worker, []any{"Ingress", "Egress"}, "spec", "policyTypes")
	want(t, worker, "hub", "spec", "ingress", 0, "from", 0, "podSelector", "matchLabels", "app.kubernetes.io/component")
	want(t, worker, []any{object{"port": "grpc", "protocol": "TCP"}}, "spec", "ingress", 0, "ports")
	want(t, worker, []any{object{"port": "http", "protocol": "TCP"}}, "spec", "ingress", 1, "ports")
	if n := len(list(worker, "spec", "ingress")); n != 2 {
		t.Errorf("%d rules, want 2", n)
	}
	// Without metrics nobody but the kubelet, which needs no rule, comes to that port.
	if n := len(list(objects(t, "metrics: {enabled: false}")["NetworkPolicy/sshark-worker"], "spec", "ingress")); n != 1 {
		t.Errorf("without metrics: %d rules, want 1", n)
	}
	hub := objects(t, valueSets(t)["team"])["NetworkPolicy/sshark-hub"]
	want(t, hub, "10.0.0.0/8", "spec", "ingress", 0, "from", 0, "ipBlock", "cidr")
	want(t, hub, "fd00::/8", "spec", "ingress", 0, "from", 1, "ipBlock", "cidr")
	want(t, hub, "worker", "spec", "egress", 0, "to", 0, "podSelector", "matchLabels", "app.kubernetes.io/component")
	for key := range objects(t, "networkPolicy: {enabled: false}") {
		if strings.HasPrefix(key, "NetworkPolicy/") {
			t.Errorf("not wanted, and there: %s", key)
		}
	}
}

// TestSelectors: what selects the hub's and the workers' pods finds their labels.
func TestSelectors(t *testing.T) {
	for name, values := range valueSets(t) {
		t.Run(name, func(t *testing.T) {
			all := objects(t, values)
			both := pods(t, all)
			for key, o := range all {
				var selector object
				switch kind, _, _ := strings.Cut(key, "/"); kind {
				case "Service":
					selector, _ = at(o, "spec", "selector").(object)
				case "DaemonSet", "Deployment":
					selector, _ = at(o, "spec", "selector", "matchLabels").(object)
				case "NetworkPolicy":
					selector, _ = at(o, "spec", "podSelector", "matchLabels").(object)
				default:
					continue
				}
				component, _ := at(o, "metadata", "labels", "app.kubernetes.io/component").(string)
				if len(selector) != 3 {
					t.Errorf("%s selects by %v", key, selector)
				}
				for k, v := range selector {
					want(t, both[component], v, "metadata", "labels", k)
				}
			}
			workers := argument(t, container(t, both["hub"]), "workers")
			for _, term := range strings.Split(workers, ",") {
				k, v, _ := strings.Cut(term, "=")
				want(t, both["worker"], v, "metadata", "labels", k)
			}
		})
	}
}

// argument is the value of a container's --name=value.
func argument(t *testing.T, c object, name string) string {
	t.Helper()
	for _, a := range strs(list(c, "args")) {
		if v, ok := strings.CutPrefix(a, "--"+name+"="); ok {
			return v
		}
	}
	t.Errorf("no argument --%s in %v", name, at(c, "args"))
	return ""
}

func TestWorkerArguments(t *testing.T) {
	c := container(t, pods(t, objects(t, valueSets(t)["team"]))["worker"])
	for name, value := range map[string]string{
		"namespaces": "shop,payments", "exclude-namespaces": "kube-system", "labels": "app.kubernetes.io/part-of=shop,tier=backend",
		"store-mb": "20000", "store-age": "36h", "store-sync": "250ms", "snap": "256", "ring-mb": "128", "listen": ":4290", "http": ":9090",
	} {
		if got := argument(t, c, name); got != value {
			t.Errorf("--%s=%s, want %s", name, got, value)
		}
	}
}

// TestReplay: it is turned off at both ends.
func TestReplay(t *testing.T) {
	for values, value := range map[string]string{"": "true", "replay: {enabled: false}": "false"} {
		both := pods(t, objects(t, values))
		for _, who := range []string{"hub", "worker"} {
			if got := argument(t, container(t, both[who]), "replay"); got != value {
				t.Errorf("%q: %s --replay=%s, want %s", values, who, got, value)
			}
		}
	}
}

// TestReplayLinkLocal: what a worker may reach its NetworkPolicy lets it reach.
func TestReplayLinkLocal(t *testing.T) {
	for values, want := range map[string][]string{"": nil, "replay: {linkLocal: true}": {"169.254.0.0/16", "fe80::/10"}, "replay: {linkLocal: true, enabled: false}": nil} {
		var got []string
		for _, to := range list(objects(t, values)["NetworkPolicy/sshark-worker"], "spec", "egress", 0, "to") {
			if cidr, ok := at(to, "ipBlock", "cidr").(string); ok {
				got = append(got, cidr)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", values, got, want)
		}
	}
}

// TestStoreIsBelowItsLimit: the kubelet evicts a pod whose emptyDir passes its limit, so the
// store's own quota must stay below it.
func TestStoreIsBelowItsLimit(t *testing.T) {
	for _, mb := range []int{64, 4096, 5120, 1_000_000, 16 << 20} {
		values := fmt.Sprintf("store: {type: emptyDir, sizeMB: %d}", mb)
		pod := pods(t, objects(t, values))["worker"]
		got, _ := at(pod, "spec", "volumes", 1, "emptyDir", "sizeLimit").(string)
		limit, err := strconv.Atoi(strings.TrimSuffix(got, "Mi"))
		if err != nil || limit < mb+512 || limit < mb+mb/10 || limit > mb+mb/10+512 {
			t.Errorf("a store of %d MiB in an emptyDir of %q: %v", mb, got, err)
		}
		if quota := argument(t, container(t, pod), "store-mb"); quota != strconv.Itoa(mb) {
			t.Errorf("--store-mb=%s, want %d", quota, mb)
		}
	}
}

// TestMemory: Go's limit leaves the ring out, and a fifth of the rest.
func TestMemory(t *testing.T) {
	for _, tt := range []struct{ limit, ringMB, want string }{
		{"512Mi", "64", "358MiB"},
		{"1Gi", "256", "614MiB"},
		{"1.5Gi", "64", "1177MiB"},
		{"1G", "64", "711MiB"},
		{"536870912", "64", "358MiB"},
	} {
		values := fmt.Sprintf("capture: {ringMB: %s}\nworker: {resources: {limits: {memory: %q}}}", tt.ringMB, tt.limit)
		c := container(t, pods(t, objects(t, values))["worker"])
		if want(t, c, "GOMEMLIMIT", "env", 1, "name"); at(c, "env", 1, "value") != tt.want {
			t.Errorf("limit %s, ring %s MiB: GOMEMLIMIT=%v, want %s", tt.limit, tt.ringMB, at(c, "env", 1, "value"), tt.want)
		}
	}
	c := container(t, pods(t, objects(t, "worker: {resources: {limits: {memory: null}}}"))["worker"])
	want(t, c, nil, "env", 1)
	both := pods(t, objects(t, "worker: {resources: null}\nhub: {resources: null}"))
	for _, who := range []string{"worker", "hub"} {
		want(t, container(t, both[who]), nil, "env", 1)
		want(t, container(t, both[who]), nil, "resources")
	}
}

// TestPolicy reads the ConfigMap with the hub's own eyes.
func TestPolicy(t *testing.T) {
	policy := func(values string) *auth.Policy {
		text, _ := at(objects(t, values)["ConfigMap/sshark-hub-policy"], "data", "policy.yaml").(string)
		p, err := auth.ParsePolicy([]byte(text))
		if err != nil {
			t.Fatalf("%v in:\n%s", err, text)
		}
		return p
	}
	// Nothing given: who has a key may do everything, and who has a token nothing.
	p := policy("")
	for _, v := range auth.Verbs() {
		if s, err := p.Scope(&auth.User{Name: "ada", Method: auth.ByKey}, v); err != nil || !s.All {
			t.Errorf("by default %s with a key: %+v, %v", v, s, err)
		}
		if s, err := p.Scope(&auth.User{Name: "ada", Method: auth.ByToken}, v); err == nil {
			t.Errorf("by default %s with a token: %+v", v, s)
		}
	}
	p = policy(valueSets(t)["team"])
	if !p.SubjectAccessReview || p.Limits.ExportMB != 104857600 || p.Limits.Overrides[0].Sessions != 2 {
		t.Errorf("team's policy: %+v", p)
	}
	if s, err := p.Scope(&auth.User{Name: "x", Method: auth.ByKey, Groups: []string{"dev"}}, auth.See); err != nil || !s.Equal(auth.In("shop")) {
		t.Errorf("team's dev: %+v, %v", s, err)
	}
}

// TestAuthorizedKeys: one key a line, however it was given.
func TestAuthorizedKeys(t *testing.T) {
	secret := objects(t, valueSets(t)["team"])["Secret/sshark-hub-auth"]
	for file, keys := range map[string]int{"authorized_keys": 2, "user_ca": 1} {
		text, _ := at(secret, "stringData", file).(string)
		n := 0
		for line := range strings.Lines(text) {
			switch {
			case strings.HasPrefix(line, "#"):
			case strings.Contains(line, "ssh-ed25519 AAAA"):
				n++
			default:
				t.Errorf("%s: line %q", file, line)
			}
		}
		if n != keys {
			t.Errorf("%s: %d keys, want %d", file, n, keys)
		}
	}
}

// TestRevoked: what gets in no more, a line each, in the file that the hub is told of.
func TestRevoked(t *testing.T) {
	const eve = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPJqD9eNFDE3xVVZ4B8Sd+lm5wZlR6VKuV2HFtCo8dv eve"
	const print = "sha256: SHA256:yEV401Bn/iLByHJ7wHdAYxtGZ4n1CRWS35vHnMBaFXw"
	for values, want := range map[string][]string{
		"": nil,
		`auth: {revoked: ["` + eve + `\n", "serial: 10-20", "serial: 7", "id: ada's laptop", "` + print + `"]}`: {eve, "serial: 10-20", "serial: 7", "id: ada's laptop", print},
		`auth: {existingSecret: own, revoked: ["serial: 7"]}`:                                                   {"serial: 7"},
	} {
		all := objects(t, values)
		if got := argument(t, container(t, pods(t, all)["hub"]), "revoked"); got != "/etc/sshark/policy/revoked" {
			t.Errorf("--revoked=%s", got)
		}
		text, _ := at(all["ConfigMap/sshark-hub-policy"], "data", "revoked").(string)
		var got []string
		for line := range strings.Lines(text) {
			if !strings.HasPrefix(line, "#") {
				got = append(got, strings.TrimSuffix(line, "\n"))
			}
		}
		if text == "" || !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", values, got, want)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, tt := range []struct{ name, values, want string }{
		{"misspelt at the top", "imge: {}", "imge"},
		{"misspelt below", "store: {sizeGB: 4}", "sizeGB"},
		{"type of store", "store: {type: nfs}", "/store/type"},
		{"size of store as text", "store: {sizeMB: 4Gi}", "/store/sizeMB"},
		{"no store", "store: {sizeMB: 0}", "/store/sizeMB"},
		{"no snapshots", "hub: {snapshotsMB: 0}", "/hub/snapshotsMB"},
		{"root as store", "store: {path: /}", "/store/path"},
		{"relative store", "store: {path: var/lib}", "/store/path"},
		{"store that leads out", "store: {path: /var/lib/../x}", "/store/path"},
		{"tag in the repository", "image: {repository: \"ghcr.io/sshark/sshark:v1\"}", "/image/repository"},
		{"what is revoked", "auth: {revoked: [eve]}", "/auth/revoked/0"},
		{"revoked serials as numbers", "auth: {revoked: [{serial: 7}]}", "/auth/revoked/0"},
		{"age without unit", `store: {age: "36"}`, "/store/age"},
		{"sync without unit", `store: {sync: "1"}`, "/store/sync"},
		{"sync too often", "store: {sync: 1ms}", "/store/sync"},
		{"ring is no power of two", "capture: {ringMB: 100}", "/capture/ringMB"},
		{"replay's network", "replay: {allowedCIDRs: [everywhere]}", "/replay/allowedCIDRs/0"},
		{"namespace", "targets: {namespaces: [Shop]}", "/targets/namespaces/0"},
		{"label", "targets: {labels: {a: \"b c\"}}", "/targets/labels/a"},
		{"quantity", "worker: {resources: {limits: {memory: 512MB}}}", "/worker/resources/limits/memory"},
		{"resources", "hub: {resources: {limit: {}}}", "limit"},
		{"toleration", "worker: {tolerations: [{operator: Is}]}", "/worker/tolerations/0/operator"},
		{"argument", "worker: {extraArgs: [snap]}", "/worker/extraArgs/0"},
		{"pull policy", "image: {pullPolicy: never}", "/image/pullPolicy"},
		{"no key", "auth: {authorizedKeys: [ada]}", "/auth/authorizedKeys/0"},
		{"a private key", `auth: {authorizedKeys: ["-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl"]}`, "/auth/authorizedKeys/0"},
		{"two keys in one", `auth: {authorizedKeys: ["ssh-ed25519 AAAA1 a\nssh-ed25519 AAAA2 b"]}`, "/auth/authorizedKeys/0"},
		{"verb", "auth: {policy: {rules: [{users: [a], verbs: [look], namespaces: [b]}]}}", "/auth/policy/rules/0/verbs/0"},
		{"rule for nobody", "auth: {policy: {rules: [{verbs: [see], namespaces: [b]}]}}", "/auth/policy/rules/0"},
		{"rule without namespaces", "auth: {policy: {rules: [{users: [a], verbs: [see]}]}}", "namespaces"},
		{"namespace of a rule", `auth: {policy: {rules: [{users: [a], verbs: [see], namespaces: ["sh*"]}]}}`, "/auth/policy/rules/0/namespaces/0"},
		{"limit", "auth: {policy: {limits: {idle: 3}}}", "/auth/policy/limits/idle"},
		{"type of service", "service: {type: Ingress}", "/service/type"},
		{"network", "networkPolicy: {allowedCIDRs: [10.0.0.0]}", "/networkPolicy/allowedCIDRs/0"},
		{"network of six parts", "service: {loadBalancerSourceRanges: [fd00/8]}", "/service/loadBalancerSourceRanges/0"},
		{"peer", "metrics: {from: [{namespace: monitoring}]}", "/metrics/from/0"},
		{"issuer", "tls: {certManager: {enabled: true}}", "/tls/certManager/issuerRef/name"},
		{"seccomp", "worker: {seccompProfile: none}", "/worker/seccompProfile"},

		{"ring larger than the memory", "capture: {ringMB: 512}", "worker.resources.limits.memory is 512Mi"},
		{"snapshots larger than their volume", "hub: {snapshotsMB: 10000}", "hub.persistence.size is 10Gi"},
		{"store larger than the limit", "store: {type: emptyDir}\nworker: {resources: {limits: {ephemeral-storage: 4Gi}}}", "worker.resources.limits.ephemeral-storage is 4Gi"},
		{"one Secret of two", "tls: {existingSecrets: {worker: a}}", "name both worker and hub"},
		{"Secrets and cert-manager", "tls: {existingSecrets: {worker: a, hub: b}, certManager: {enabled: true, issuerRef: {name: c}}}", "not both"},
		{"keys and a Secret", "auth: {existingSecret: a, authorizedKeys: [ssh-ed25519 AAAA1]}", "not both"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text, err := render(t, tt.values)
			if err == nil {
				t.Fatalf("accepted: %d bytes", len(text))
			}
			// Helm's two libraries for schemas name a place as /a/b/0 and a.b.0.
			dotted := strings.ReplaceAll(strings.TrimPrefix(tt.want, "/"), "/", ".")
			if !strings.Contains(err.Error(), tt.want) && !(strings.HasPrefix(tt.want, "/") && strings.Contains(err.Error(), dotted)) {
				t.Errorf("%v\nwant it to name %s", err, tt.want)
			}
		})
	}
}

func TestServiceTypes(t *testing.T) {
	for _, tt := range []struct{ values, policy, port string }{
		{"service: {nodePort: 30022}", "<nil>", "<nil>"}, // there is none with ClusterIP
		{"service: {type: NodePort, nodePort: 30022}", "Cluster", "30022"},
		{"service: {type: NodePort, externalTrafficPolicy: Local}", "Local", "<nil>"},
		{"service: {type: LoadBalancer}", "Local", "<nil>"},
	} {
		s := objects(t, tt.values)["Service/sshark-hub"]
		policy, port := fmt.Sprint(at(s, "spec", "externalTrafficPolicy")), fmt.Sprint(at(s, "spec", "ports", 0, "nodePort"))
		if cmp.Or(policy, port) != tt.policy || port != tt.port {
			t.Errorf("%s: externalTrafficPolicy %s, nodePort %s, want %s, %s", tt.values, policy, port, tt.policy, tt.port)
		}
	}
}

// TestLongNames: Kubernetes takes names of 63 bytes, and release names are up to 53.
func TestLongNames(t *testing.T) {
	release := strings.Repeat("r", 53)
	var b bytes.Buffer
	out, err := helm(t, "", "template", release, "sshark", "--kube-version", kubeVersion)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out) {
		if name, ok := strings.CutPrefix(line, "  name: "); ok && len(strings.TrimSpace(name)) > 63 {
			b.WriteString(name)
		}
	}
	if b.Len() > 0 {
		t.Errorf("names of more than 63 bytes:\n%s", b.String())
	}
}
