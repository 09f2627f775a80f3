# What a developer does here. `make` says it.

GO       ?= go
# Seconds of fuzzing for each target.
FUZZTIME ?= 20s
# GB of the store that `make bench` looks one flow up in.
BENCH_STORE_GB ?= 1
# The race detector needs a C compiler.
RACE := $(if $(shell command -v $$($(GO) env CC) 2>/dev/null),-race)
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

.PHONY: help build run test lint bench bench-units fuzz generate e2e picture

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

build: ## bin/sshark
	$(GO) build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/sshark ./cmd/sshark

run: build ## capture this machine and a demo shop, serve the console on 127.0.0.1:2222 (root)
	./bin/sshark up --demo --state .state

test: ## all tests; says at the end what was skipped and why
	@$(if $(RACE),,echo 'no C compiler: the tests run without the race detector')
	$(GO) run ./cmd/testreport $(RACE) ./...

lint: ## gofmt, go vet, staticcheck; the house's own rules are tests (cmd/sshark)
	@bad=$$(gofmt -l $$(find . -name '*.go' -not -path './.*')); \
		if [ -n "$$bad" ]; then echo "not formatted (gofmt -w):"; echo "$$bad"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool -modfile=.ci/tools.mod staticcheck ./...

bench: build ## beside tcpdump and tshark, in one run, as a table with ratios (root)
	BENCH_STORE_GB=$(BENCH_STORE_GB) $(GO) run ./cmd/bench -sshark bin/sshark -dir .bench

bench-units: ## every Go benchmark
	$(GO) test -run '^$$' -bench . -benchmem ./...

fuzz: ## every fuzz target for FUZZTIME (20s)
	@set -e; grep -rl --include='*_test.go' '^func Fuzz' . | xargs -r -n 1 dirname | sort -u | while read -r dir; do \
		all=$$($(GO) test -list '^Fuzz' $$dir) || { echo "$$all"; exit 1; }; \
		for target in $$(echo "$$all" | grep '^Fuzz'); do \
			echo "== $$dir $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$dir || exit 1; \
		done; \
	done

generate: ## make the generated code again (clang and llvm-strip for the eBPF programs, protoc for the API)
	@command -v clang >/dev/null || { echo 'make generate compiles the eBPF programs with clang; it is not installed (Debian: clang llvm libbpf-dev)'; exit 1; }
	$(GO) generate ./...

e2e: build ## the whole binary on this machine (root)
	$(GO) run ./cmd/testreport -count=1 $(RACE) ./cmd/sshark/...
	@echo 'Kubernetes: there is no chart yet, so there is nothing to run in a cluster.'

picture: build ## docs/tui.svg again, from the demo shop (root, tmux; a minute)
	$(GO) run ./cmd/picture -sshark bin/sshark -o docs/tui.svg
