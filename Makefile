# What a developer does here. `make` says it.

GO       ?= go
# Seconds of fuzzing for each target.
FUZZTIME ?= 20s
# GB of the store that `make bench` looks things up in; it takes twice as much on the disk.
BENCH_STORE_GB ?= 1
# The race detector needs a C compiler.
RACE := $(if $(shell command -v $$($(GO) env CC) 2>/dev/null),-race)
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
# What `make image` calls the image, and for which machines it is.
IMAGE      ?= ghcr.io/sshark/sshark
IMAGE_ARCH ?= amd64,arm64
# helm, of that name, or the one that .ci/tools.mod pins.
HELM     ?= $(or $(shell command -v helm 2>/dev/null),$(GO) tool -modfile=.ci/tools.mod helm)

.PHONY: help build run image test lint bench bench-units fuzz generate e2e crash picture

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

build: ## bin/sshark
	$(GO) build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/sshark ./cmd/sshark

run: build ## capture this machine and a demo shop, serve the console on 127.0.0.1:2222 (root)
	./bin/sshark up --demo --state .state

image: ## dist/sshark-VERSION-oci.tar for amd64 and arm64, without a container engine (IMAGE, VERSION, IMAGE_ARCH)
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct 2>/dev/null) $(GO) run ./cmd/image -name $(IMAGE) -version $(VERSION) -arch $(IMAGE_ARCH) \
		-revision "$$(git rev-parse HEAD 2>/dev/null)" -o dist/sshark-$(VERSION)-oci.tar
	@echo 'dist/sshark-$(VERSION)-oci.tar is $(IMAGE):$(VERSION). To run it:'
	@echo '  ctr -n k8s.io images import dist/sshark-$(VERSION)-oci.tar    # on each node, or push it to a registry'
	@echo '  helm install sshark helm/sshark -n sshark --create-namespace --set image.repository=$(IMAGE) --set image.tag=$(VERSION)'

test: ## all tests; says at the end what was skipped and why
	@$(if $(RACE),,echo 'no C compiler: the tests run without the race detector')
	$(GO) run ./cmd/testreport $(RACE) ./...

lint: ## gofmt, go vet, staticcheck, helm lint; the house's own rules are tests (cmd/sshark)
	@bad=$$(gofmt -l $$(find . -name '*.go' -not -path './.*')); \
		if [ -n "$$bad" ]; then echo "not formatted (gofmt -w):"; echo "$$bad"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool -modfile=.ci/tools.mod staticcheck ./...
	$(HELM) lint --strict --quiet --kube-version 1.34.0 helm/sshark

bench: build ## beside tcpdump and tshark, in one run, as tables with ratios and budgets (root; a quarter of an hour)
	BENCH_STORE_GB=$(BENCH_STORE_GB) $(GO) run ./cmd/bench -sshark bin/sshark -dir .bench

bench-units: ## every Go benchmark
	$(GO) test -run '^$$' -bench . -benchmem ./...

fuzz: ## every fuzz target for FUZZTIME (20s)
	@GO='$(GO)' .ci/fuzz $(FUZZTIME)

generate: ## make the generated code again (clang and llvm-strip for the eBPF programs, protoc for the API)
	@command -v clang >/dev/null || { echo 'make generate compiles the eBPF programs with clang; it is not installed (Debian: clang llvm libbpf-dev)'; exit 1; }
	$(GO) generate ./...

# The cluster of make e2e: a program (cmd/e2e says what it must do), or KUBECONFIG and E2E_LOAD.
E2E_CLUSTER ?= $(if $(E2E_LOAD),,$(abspath $(wildcard ../shared/cluster/cluster)))

e2e: build ## the whole binary on this machine (root), and the product in a cluster (E2E_CLUSTER, or KUBECONFIG and E2E_LOAD)
	$(GO) run ./cmd/testreport -count=1 $(RACE) ./cmd/sshark/...
	E2E_CLUSTER='$(E2E_CLUSTER)' $(GO) run ./cmd/testreport -count=1 -timeout 60m ./cmd/e2e/...

crash: ## kill the product 200 times under load and count what is lost (root; two minutes)
	CRASH_KILLS=200 $(GO) run ./cmd/testreport -count=1 -timeout 10m -run '^TestCrash$$' ./cmd/sshark

picture: build ## docs/tui.svg again, from the demo shop (root, tmux; a minute)
	$(GO) run ./cmd/picture -sshark bin/sshark -o docs/tui.svg
