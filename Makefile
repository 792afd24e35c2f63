# Strongroom: every way to build, run and test it. docs/testing.md tells what each target covers and how long it takes.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
export RUSTUP_AUTO_INSTALL := 0
export GOTOOLCHAIN := local
export CARGO_TERM_PROGRESS_WHEN := never

TARGET ?= target
RELEASE := $(TARGET)/release/strongroom
DEBUG := $(TARGET)/debug/strongroom
BUILD_PACKAGES := gcc libc6-dev
TEST_PACKAGES := $(BUILD_PACKAGES) curl openssl iproute2 util-linux python3 python3-cryptography

.PHONY: help run build build-fips test lint unit clients etcd-tests conformance access-clients certificates kubernetes properties differential steady durable large bench bench-long bench-profile bench-storm bench-access bench-tools

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

run: build ## build the release binary and start a secure member on loopback
	@exec $(RELEASE) up

build-fips: ## the same with the FIPS validated module of aws-lc, into target/fips; needs cmake and go
	@tools/require rust go
	@tools/packages $(BUILD_PACKAGES) cmake
	STRONGROOM_COMMIT="$$(git rev-parse --short HEAD 2>/dev/null || true)" cargo build --release --locked -p strongroom --features fips --target-dir target/fips

build: ## build the release binary
	@tools/require rust
	@tools/packages $(BUILD_PACKAGES)
	STRONGROOM_COMMIT="$$(git rev-parse --short HEAD 2>/dev/null || true)" cargo build --release --locked -p strongroom

test: ## everything that has to pass before a change lands
	@tools/require rust go
	@tools/packages $(TEST_PACKAGES)
	@$(MAKE) --no-print-directory unit clients

unit: ## the Rust tests of every crate
	cargo test --locked --workspace

clients: ## real etcdctl against a fresh member, answers compared with the real etcd; the disk read by others' eyes
	cargo build --locked -p strongroom -p conformance
	conformance/etcd/tools.sh
	conformance/etcdctl/run $(DEBUG)
	conformance/cli/run $(DEBUG)
	conformance/access/etcdctl/run $(DEBUG)
	conformance/access/verbs $(DEBUG)
	conformance/sealed/run $(DEBUG)
	conformance/snapshot/run $(DEBUG)
	conformance/formats/run $(DEBUG)
	conformance/metrics/run $(DEBUG)
	conformance/memory/run $(DEBUG)
	conformance/lists/run $(DEBUG)
	conformance/badinput/run $(DEBUG)
	conformance/certificates/run $(DEBUG)
	conformance/differential/run $(DEBUG) --operations 5000 --seed 1

conformance: build ## third-party clients: Rust, Python, Java, Node; etcdctl's long checks
	@tools/require rust go
	@tools/packages $(TEST_PACKAGES)
	conformance/etcd/tools.sh
	conformance/etcdctl/run $(RELEASE) --long
	conformance/clients/run $(RELEASE)

access-clients: build ## real programs as users of their own: etcdctl, Python, Patroni with PostgreSQL, CoreDNS; an OIDC issuer
	@tools/require rust go
	@tools/packages $(TEST_PACKAGES)
	conformance/etcd/tools.sh
	conformance/oidc/check
	conformance/oidc/run $(RELEASE)
	conformance/access/etcdctl/run $(RELEASE)
	conformance/access/run $(RELEASE)

certificates: build ## real certificates while the member serves: tokens, rollovers, revocation, kubeadm's files, years on a faked clock, a real step-ca, ACME
	@tools/require rust go
	@tools/packages $(TEST_PACKAGES) faketime
	conformance/etcd/tools.sh
	conformance/certificates/run $(RELEASE) --long

kubernetes: build ## a real Kubernetes control plane on a member with access control, as etcd and as strongroom
	@tools/require rust go
	@tools/packages $(TEST_PACKAGES)
	conformance/etcd/tools.sh
	conformance/kubernetes/setup.sh
	conformance/kubernetes/run $(RELEASE)

properties: ## a million cases each of the access policy against naive models, and of what a user must not learn (a quarter of an hour)
	@tools/require rust
	PROPERTY_CASES=1000000 cargo test --locked -p state --lib auth
	PROPERTY_CASES=1000000 cargo test --locked -p server --lib rpc::tests::interference -- --nocapture

differential: build ## 100,000 random operations on the real etcd and ours, every answer compared
	@tools/require rust go
	@tools/packages $(TEST_PACKAGES)
	conformance/etcd/tools.sh
	cargo build --release --locked -p conformance
	conformance/differential/run $(RELEASE) --operations 100000

etcd-tests: build ## etcd's own tests with our binary in place; writes docs/conformance.md
	@tools/require rust go
	@tools/packages $(TEST_PACKAGES)
	conformance/etcd/setup.sh
	conformance/etcd/run $(RELEASE)

steady: build ## overwrites without end: the disk stays small, a restart is quick
	@tools/require rust go
	@tools/packages $(TEST_PACKAGES)
	conformance/etcd/tools.sh
	conformance/steady/run $(RELEASE) --puts 1000000

durable: build ## kill -9, live copies, tampering, a full disk: everything acknowledged is there, nothing is wrong
	@tools/require rust go
	@tools/packages $(TEST_PACKAGES)
	conformance/etcd/tools.sh
	conformance/durable/run $(RELEASE)
	conformance/copies/run $(RELEASE)
	conformance/tamper/run $(RELEASE)
	conformance/fulldisk/run $(RELEASE)

large: build ## stores of 8 GiB and in the shape of 100 GiB: started from their indexes in seconds
	@tools/require rust go
	@tools/packages $(TEST_PACKAGES)
	conformance/etcd/tools.sh
	cargo build --release --locked -p conformance
	conformance/large/run $(RELEASE)

bench: bench-tools ## ours with everything on, etcd with everything off, in turns: cost, speed, size, start
	conformance/bench/run $(RELEASE)

bench-long: bench-tools ## the real figures; writes docs/benchmarks.md and docs/benchmarks/
	conformance/bench/run $(RELEASE) --long --write

bench-profile: bench-tools ## where the server's time goes for each kind of request (needs Linux perf)
	conformance/bench/profile $(RELEASE)

bench-storm: bench-tools ## what a storm of logins, and one of handshakes, does to others; writes its tables into docs/benchmarks.md
	conformance/bench/storm $(RELEASE) --write

bench-access: bench-tools ## what deciding costs with a thousand roles; writes its table into docs/benchmarks.md
	conformance/bench/access $(RELEASE) --write

bench-tools:
	@tools/require rust go
	@tools/packages $(TEST_PACKAGES)
	conformance/etcd/tools.sh
	STRONGROOM_COMMIT="$$(git rev-parse --short HEAD 2>/dev/null || true)" cargo build --release --locked -p strongroom -p bench

lint: ## formatting and clippy
	@tools/require rust
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
