# `make` lists what there is. Needs Go, git and a POSIX shell; `make setup` brings what the suites need beside them.

GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  := -s -w -X main.version=$(VERSION)
SEEDS    ?= 100
HOURS    ?= 24
START    ?= 1
FUZZTIME ?= 10s
ATTACK_TIME ?= 6s
CHAOS_MINUTES ?= 26
IMAGE    ?= wxsidecar:dev
IMAGE_FLAGS ?=
CROSS    ?= darwin/arm64 darwin/amd64 windows/amd64 linux/arm64
TESTLOG  ?= bin/test.log
RACELOG  ?= bin/race.log
K8SLOG   ?= bin/k8s.log
SDKLOG   ?= bin/sdk.log
FUZZLOG  ?= bin/fuzz.log

GOFUMPT_VERSION      := v0.12.0
GOLANGCILINT_VERSION := v2.15.0
# The version is in the path: another version here, and it is built anew.
GOFUMPT      := $(CURDIR)/bin/gofumpt-$(GOFUMPT_VERSION)/gofumpt
GOLANGCILINT := $(CURDIR)/bin/golangci-lint-$(GOLANGCILINT_VERSION)/golangci-lint
KUBESCORE_VERSION    := v1.20.0
KUSTOMIZE_VERSION    := v5.8.1
KUBESCORE    := $(CURDIR)/bin/kube-score-$(KUBESCORE_VERSION)/kube-score
KUSTOMIZE    := $(CURDIR)/bin/kustomize-$(KUSTOMIZE_VERSION)/kustomize

# $(call gotest,FLAGS AND PACKAGES,LOG,FOLDER): the whole -v output into LOG, a summary on the screen; a failed or
# skipped test fails it. awk alone decides: the status of the command before a pipe is lost in POSIX sh, so a go test
# that failed without saying so is told to awk as a line of its own.
gotest = mkdir -p bin; { (cd $(or $(3),.) && $(GO) test -v $(1)) 2>&1 || echo 'FAIL	go test'; } \
	| tee $(2) | awk -f .ci/gotest.awk

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

.PHONY: demo
demo: ## everything in one process: a fake WeChat, memcached, two sidecars, a reader
	$(GO) run ./sidecar demo

.PHONY: build
build: ## bin/sidecar, static
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/sidecar ./sidecar

.PHONY: setup
setup: ## install what the suites need (as root with apt), or say what is missing
	@missing=; hint=; \
	need() { missing="$$missing $$1"; }; \
	command -v memcached >/dev/null 2>&1 || need memcached; \
	command -v mariadbd >/dev/null 2>&1 || need mariadb-server; \
	command -v nc >/dev/null 2>&1 || need netcat-openbsd; \
	command -v curl >/dev/null 2>&1 || need curl; \
	command -v openssl >/dev/null 2>&1 || need openssl; \
	[ "$$(uname)" != Linux ] || command -v systemd-analyze >/dev/null 2>&1 || need systemd; \
	command -v promtool >/dev/null 2>&1 || need prometheus; \
	command -v phpunit >/dev/null 2>&1 || need phpunit; \
	command -v phpcs >/dev/null 2>&1 || need php-codesniffer; \
	if command -v php >/dev/null 2>&1; then modules=$$(php -m 2>/dev/null); else modules=; need php-cli; fi; \
	for m in memcached memcache curl apcu; do \
		printf '%s\n' "$$modules" | grep -qix $$m || need php-$$m; \
	done; \
	printf '%s\n' "$$modules" | grep -qix mysqli || need php-mysql; \
	if [ -z "$$missing" ]; then echo 'setup: nothing to do, everything is there'; exit 0; fi; \
	if command -v apt-get >/dev/null 2>&1; then \
		if [ "$$(id -u)" = 0 ]; then \
			echo "setup: apt-get install$$missing"; \
			apt-get -qq update && DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
				apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $$missing >/dev/null; \
			exit; \
		fi; \
		hint="sudo apt-get install$$missing"; \
	elif command -v brew >/dev/null 2>&1; then \
		hint='brew install mariadb memcached php prometheus zlib && pecl install memcached memcache apcu'; \
	else \
		hint="your system's packages of these names, or the nearest"; \
	fi; \
	echo "setup: missing:$$missing"; echo "  install with: $$hint"; exit 1

.PHONY: test
test: setup ## every test, under two minutes; a skipped one fails it
	@$(call gotest,-timeout 5m ./...,$(TESTLOG))

.PHONY: race
race: setup ## the same under the race detector, but for the explorer, which runs one goroutine at a time
	@$(call gotest,-race -timeout 30m $$($(GO) list ./... | grep -v /keeper/explore),$(RACELOG))

.PHONY: php
php: setup ## the PHP client: PSR-12, and its tests with curl, with APCu and with streams
	bash client/php/test.sh

.PHONY: php-bench
php-bench: setup ## what a token costs a PHP app, beside a bare get
	bash client/php/test.sh bench

.PHONY: sdk
sdk: setup ## the SDKs, and programs of every kind, beside a real sidecar: a short form of `make variants`
	phpcs --standard=PSR12 client/sdktest/testdata
	@$(call gotest,-count=1 -timeout 10m ./...,$(SDKLOG),client/sdktest)

.PHONY: variants
variants: setup ## the same over ten renewals and through all trouble; prints docs/benchmarks.md's table: minutes
	cd client/sdktest && WXSIDECAR_VARIANTS=long $(GO) test -count=1 -timeout 30m -v -run 'TestVariants|TestPoison' .

.PHONY: k8s
k8s: setup ## the manifests as a user would apply them: strict decoding, Pod Security, cross references; the PHP app
	@$(call gotest,-count=1 ./...,$(K8SLOG),k8s)

.PHONY: kube-score
kube-score: $(KUBESCORE) $(KUSTOMIZE) ## kube-score over each folder of manifests: nothing critical
	KUBE_SCORE='$(KUBESCORE)' KUSTOMIZE='$(KUSTOMIZE) build' sh k8s/kube-score.sh

$(KUBESCORE):
	GOBIN=$(@D) $(GO) install github.com/zegl/kube-score/cmd/kube-score@$(KUBESCORE_VERSION)

$(KUSTOMIZE):
	GOBIN=$(@D) $(GO) install sigs.k8s.io/kustomize/kustomize/v5@$(KUSTOMIZE_VERSION)

.PHONY: monitoring
monitoring: setup ## the alerts: when they fire and when not; the dashboard's queries
	promtool check rules k8s/monitoring/alerts.yaml
	promtool test rules k8s/monitoring/alerts_test.yaml
	@mkdir -p bin; { echo 'groups: [{name: dashboard, rules: ['; \
		sed -n 's/^ *"expr": \(".*"\),*$$/{record: query, expr: \1},/p' k8s/monitoring/dashboard.json | sed 's/\$$__[a-z_]*/5m/g'; \
		echo ']}]'; } >bin/dashboard.rules.yaml; \
	[ "$$(grep -c '{record' bin/dashboard.rules.yaml)" = "$$(grep -c '"expr"' k8s/monitoring/dashboard.json)" ] || \
		{ echo 'dashboard.json: an "expr" that does not fill its line is not checked'; exit 1; }
	promtool check rules --lint=none bin/dashboard.rules.yaml

.PHONY: vet
vet: ## go vet
	$(GO) vet ./...

.PHONY: lint
lint: $(GOFUMPT) $(GOLANGCILINT) ## gofumpt and golangci-lint
	@files=$$($(GOFUMPT) -l .) || exit 1; \
	if [ -n "$$files" ]; then echo "gofumpt would change (bin/gofumpt-$(GOFUMPT_VERSION)/gofumpt -w .):"; echo "$$files"; exit 1; fi
	$(GOLANGCILINT) run --build-tags attack,systemd ./...
	cd k8s && $(GOLANGCILINT) run --build-tags cluster ./...
	cd bench && $(GOLANGCILINT) run --build-tags bill ./...
	cd bench/peers && $(GOLANGCILINT) run ./...
	cd client/sdktest && $(GOLANGCILINT) run ./...
	$(GOLANGCILINT) run --build-tags chaos ./sidecar/keeper
	cd bench/chaos && $(GOLANGCILINT) run ./...

.PHONY: lint-docs
lint-docs: ## the documentation: Markdown, links, long sentences, terms, Chinese punctuation (needs node and npm)
	sh docs/lint.sh

$(GOFUMPT):
	GOBIN=$(@D) $(GO) install mvdan.cc/gofumpt@$(GOFUMPT_VERSION)

$(GOLANGCILINT):
	GOBIN=$(@D) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCILINT_VERSION)

# One target at a time, because go test -fuzz takes one; but one program for all targets of a package, because go test
# -fuzz would link it anew for each. A worker that is busy when the time ends is at times reported as "context deadline
# exceeded"; that alone, without a failing input, is no finding.
.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (10s)
	@mkdir -p bin; : >$(FUZZLOG); cache=$$($(GO) env GOCACHE)/fuzz; \
	for folder in $$($(GO) list -f '{{.Dir}}' ./...); do \
		grep -qs '^func Fuzz' "$$folder"/*_test.go || continue; \
		pkg=$$($(GO) list "$$folder") && $(GO) test -c -fuzz . -o bin/fuzz.test "$$pkg" || exit 1; \
		targets=$$(cd "$$folder" && $(CURDIR)/bin/fuzz.test -test.list '^Fuzz') || { echo "$$targets"; exit 1; }; \
		for target in $$targets; do \
			echo "fuzz $$pkg $$target"; \
			(cd "$$folder" && $(CURDIR)/bin/fuzz.test -test.run '^$$' -test.fuzz "^$$target\$$" -test.fuzztime $(FUZZTIME) \
				-test.fuzzcachedir "$$cache/$$pkg") >bin/fuzz.last 2>&1; status=$$?; \
			cat bin/fuzz.last >>$(FUZZLOG); \
			if [ $$status = 0 ]; then tail -n 2 bin/fuzz.last; continue; fi; \
			cat bin/fuzz.last; \
			grep -q 'context deadline exceeded' bin/fuzz.last && ! grep -q 'Failing input' bin/fuzz.last || exit 1; \
		done; \
	done

.PHONY: sim
sim: ## a fleet through SEEDS (100) random days of HOURS (24) each, from seed START (1), then through a month, in virtual time
	$(GO) test ./sidecar/keeper -run 'TestSimulation$$' -count=1 -timeout 0 -v \
		-sim.seeds=$(SEEDS) -sim.hours=$(HOURS) -sim.seed=$(START)
	$(GO) test ./sidecar/keeper -run 'TestSimulation$$' -count=1 -timeout 0 -v -sim.seeds=1 -sim.hours=720 -sim.seed=$(START)

.PHONY: broken
broken: ## each guard of the protocol taken out in turn: the explorer, a test or the simulation must notice
	$(GO) test ./sidecar/keeper -run 'TestBroken' -count=1 -timeout 0 -v -broken

# An exploration that is ended goes on where it was: bin/explore has what is left.
EXPLORE_BOUNDS ?= 1,1 2,1 3,1 2,2
EXPLORE_SAMPLE ?= 10m

.PHONY: explore
explore: ## every schedule of two sidecars within EXPLORE_BOUNDS, then random ones of three: hours
	$(GO) test ./sidecar/keeper/explore -run 'TestExplore$$' -count=1 -timeout 0 -v \
		-explore.bounds='$(EXPLORE_BOUNDS)' -explore.save='$(CURDIR)/bin/explore'
	$(GO) test ./sidecar/keeper/explore -run 'TestExplore$$' -count=1 -timeout 0 -v -explore.bounds= \
		-explore.starts='three: due;three: cold;three: reported' -explore.sample=3,1 -explore.for=$(EXPLORE_SAMPLE)

.PHONY: explore-short
explore-short: ## the same in two minutes: (1, 1) of one start to its end, then random schedules
	$(GO) test ./sidecar/keeper/explore -run 'TestExplore$$' -count=1 -timeout 10m -v \
		-explore.bounds=1,1 -explore.starts='due' -explore.for=70s -explore.seed=$(START)
	$(GO) test ./sidecar/keeper/explore -run 'TestExplore$$' -count=1 -timeout 10m -v -explore.bounds= \
		-explore.starts='cold;reported;three: due' -explore.sample=3,1 -explore.for=20s -explore.seed=$(START)

.PHONY: fleet
fleet: setup ## what a fleet costs, in virtual time and as processes: up to 1,000 sidecars, up to 10,000 accounts; minutes
	$(GO) test ./sidecar/systemtest -run 'TestFleet' -count=1 -timeout 0 -v -fleet.full

.PHONY: procs
procs: setup ## real sidecar processes, real memcached, killed and restarted
	WXSIDECAR_PROCS=16 $(GO) test ./sidecar/systemtest -run 'TestProcesses' -count=1 -timeout 15m -v

.PHONY: bench
bench: ## side by side with peers and with the floor
	cd bench && $(GO) run .

.PHONY: bench-peers
bench-peers: setup ## side by side with what teams use today, at three sizes: the tables and the chart of docs/benchmarks.md (12 minutes)
	cd bench/peers && $(GO) run . -keep ../../bin/peers.json -docs ../../docs

.PHONY: bill
bill: setup ## what a sidecar costs its pod, beside bare net/http; fails where a limit is exceeded by a third
	cd bench && $(GO) test -tags bill -count=1 -v -run '^TestBill$$' .

.PHONY: bill-others
bill-others: setup ## the same with other sidecars in the same run, built from the module proxy: both tables of the documentation
	cd bench && $(GO) test -tags bill -count=1 -timeout 20m -v -run '^TestBill$$' . -others

.PHONY: attack
attack: setup ## real sidecars under attack in cgroups of the pod's size, ATTACK_TIME (6s) each, as root
	$(GO) test -tags attack -count=1 -timeout 15m -v -run '^TestAttack' ./sidecar/systemtest -attack.time $(ATTACK_TIME)

.PHONY: chaos
chaos: setup ## eight real sidecars through every fault, 26 minutes (CHAOS_MINUTES=2: a few); bin/chaos then has all logs, and report.md, a section of docs/benchmarks.md
	cd bench/chaos && $(GO) build -o $(CURDIR)/bin/chaos/chaos . && exec $(CURDIR)/bin/chaos/chaos -minutes $(CHAOS_MINUTES) -out $(CURDIR)/bin/chaos

.PHONY: screenshots
screenshots: build ## docs/*.png, the status page of the demo (needs chromium, pngquant, optipng, fonts-inter, fonts-noto-cjk)
	docs/screenshots.sh bin/sidecar docs

.PHONY: test-cluster
test-cluster: ## the manifests on the cluster of the current kubeconfig, end to end (k8s/e2e/images.sh makes the images)
	cd k8s && $(GO) test -tags cluster -count=1 -v -timeout 20m ./e2e

.PHONY: test-systemd
test-systemd: setup ## docs/install/wxsidecar.service under a systemd of its own (Linux, as root)
	$(GO) test -tags systemd -count=1 -v -run TestUnit_RunsUnderSystemd ./sidecar/systemtest

.PHONY: image
image: ## the container image (IMAGE=wxsidecar:dev, IMAGE_FLAGS=...), or the static binary where no engine runs
	@for engine in docker podman; do \
		if command -v $$engine >/dev/null 2>&1 && $$engine info >/dev/null 2>&1; then \
			echo "$$engine build $(IMAGE_FLAGS) -t $(IMAGE) ."; \
			$$engine build $(IMAGE_FLAGS) --build-arg VERSION='$(VERSION)' -t '$(IMAGE)' . || exit 1; \
			$$engine image inspect --format 'image $(IMAGE): {{.Size}} bytes' '$(IMAGE)'; exit; \
		fi; \
	done; \
	echo 'image: neither docker nor podman answers here; building the static binary instead'; \
	$(MAKE) --no-print-directory build && \
	echo "bin/sidecar: $$(wc -c <bin/sidecar | tr -d ' ') bytes, gzip $$(gzip -9c bin/sidecar | wc -c | tr -d ' ') bytes"

# Nobody runs what this builds, so the compiler need not optimize it: a fifth less time with an empty build cache.
.PHONY: cross
cross: ## does it build for the other systems that developers use?
	@for target in $(CROSS); do \
		echo "build $$target"; \
		CGO_ENABLED=0 GOOS=$${target%/*} GOARCH=$${target#*/} $(GO) build -gcflags='all=-N -l' ./... || exit 1; \
	done

.PHONY: ci
ci: ## all that CI does
	bash .ci/run

.PHONY: clean
clean: ## remove bin/
	rm -rf bin
