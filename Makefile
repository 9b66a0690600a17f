# `make` lists the targets. They need Go, git and a POSIX shell; .ci/setup installs what the suites need beside them.

GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT   ?= $(shell git rev-parse HEAD 2>/dev/null)
LDFLAGS  := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)
SEEDS    ?= 100
HOURS    ?= 24
START    ?= 1
FUZZTIME ?= 10s
ATTACK_TIME ?= 6s
CHAOS_MINUTES ?= 26
VARIANTS ?= short
LANGUAGES ?= node python java
BILL_FLAGS ?=
IMAGE    ?= wxsidecar:dev
IMAGE_FLAGS ?=
CROSS    ?= darwin/arm64 darwin/amd64 windows/amd64 linux/arm64
TESTLOG  ?= bin/test.log
RACELOG  ?= bin/race.log
LONGLOG  ?= bin/long.log
K8SLOG   ?= bin/k8s.log
SDKLOG   ?= bin/sdk.log
LANGLOG  ?= bin/languages.log
FUZZLOG  ?= bin/fuzz.log

ACTIONLINT_VERSION := v1.7.12
CYCLONEDX_VERSION := v1.10.0
GOFUMPT_VERSION := v0.12.0
GOLANGCILINT_VERSION := v2.15.0
KUBESCORE_VERSION := v1.20.0
GOVULNCHECK_VERSION := v1.9.0
KUSTOMIZE_VERSION := v5.8.1
# The vulnerability database of Go, so that CI changes only with a commit. The newest: go list -m golang.org/x/vulndb@latest
VULNDB_VERSION := v0.0.0-20261105234957-e22db6528018
# Each path has the version, so that another version is built anew.
ACTIONLINT := $(CURDIR)/bin/actionlint-$(ACTIONLINT_VERSION)/actionlint
CYCLONEDX := $(CURDIR)/bin/cyclonedx-gomod-$(CYCLONEDX_VERSION)/cyclonedx-gomod
GOFUMPT  := $(CURDIR)/bin/gofumpt-$(GOFUMPT_VERSION)/gofumpt
GOLANGCILINT := $(CURDIR)/bin/golangci-lint-$(GOLANGCILINT_VERSION)/golangci-lint
GOVULNCHECK := $(CURDIR)/bin/govulncheck-$(GOVULNCHECK_VERSION)/govulncheck
KUBESCORE := $(CURDIR)/bin/kube-score-$(KUBESCORE_VERSION)/kube-score
KUSTOMIZE := $(CURDIR)/bin/kustomize-$(KUSTOMIZE_VERSION)/kustomize

# $(call gotest,FLAGS AND PACKAGES,LOG,FOLDER) writes the -v output to LOG and prints a summary. A failed or skipped test
# fails it. make lint runs vet. POSIX sh loses the status of a command before a pipe, so a line tells awk if go test failed.
gotest = mkdir -p bin; { (cd $(or $(3),.) && $(GO) test -vet=off -v $(1)) 2>&1 || echo 'FAIL	go test'; } \
	| tee $(2) | awk -f .ci/gotest.awk

# Most tests mostly wait. By default go test runs as many packages, and tests of each, at a time as there are processors.
PARALLEL := -p 3 -parallel 4
# They count in large fleets and over long virtual times what other tests run once. The explorer is test code, and would take ten times as long.
REPEATING := ^(TestFleet_|TestQuota_ManyAccounts|TestQuota_DayWithoutOthers|TestUpstream_Days)

# They leave much garbage and little live memory: to collect it later takes a fifth less of the processor.
test race long sim broken explore explore-short: export GOGC = 400

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' Makefile

.PHONY: installed
installed: ## install what the tests need, with apt as root
	@.ci/setup

.PHONY: build
build: ## build bin/sidecar, static
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/sidecar ./sidecar

.PHONY: test
test: installed ## run the tests; two minutes
	@$(call gotest,$(PARALLEL) -skip '$(REPEATING)' -timeout 5m ./...,$(TESTLOG))

.PHONY: long
long: installed ## run the tests that make test shortens, or leaves out: fleets, many accounts, whole days
	@$(call gotest,$(PARALLEL) -run '$(REPEATING)' -timeout 5m ./sidecar/... && \
		$(GO) test -vet=off -v -timeout 10m ./sidecar/keeper/sim -sim.long -sim.seeds=2 -sim.hours=24,$(LONGLOG))

.PHONY: race
race: installed ## run the tests under the race detector, without the explorer and what only repeats for long
	@$(call gotest,-race $(PARALLEL) -skip '$(REPEATING)' -timeout 30m $$($(GO) list ./... | grep -v /keeper/explore),$(RACELOG))

.PHONY: php
php: installed ## test the PHP client: PSR-12, and its tests with curl, APCu and streams
	bash client/php/test.sh

.PHONY: php-bench
php-bench: installed ## measure what a token costs a PHP app
	bash client/php/test.sh bench

.PHONY: sdk
sdk: installed ## test SDKs beside a real sidecar; VARIANTS=long: over ten renewals, a table in bin/sdk.log
	phpcs --standard=PSR12 client/sdktest/testdata
	@export WXSIDECAR_VARIANTS=$(VARIANTS:short=); $(call gotest,-count=1 -timeout 30m ./...,$(SDKLOG),client/sdktest)

.PHONY: languages
languages: installed ## run the examples of docs/clients.md in LANGUAGES (node python java); VARIANTS=long: over ten renewals
	sh .ci/languages $(LANGUAGES)
	@export WXSIDECAR_VARIANTS=$(VARIANTS:short=) WXSIDECAR_LANGUAGES='$(LANGUAGES)'; \
		$(call gotest,-tags languages -count=1 -timeout 10m -run TestLanguages ./...,$(LANGLOG),client/sdktest)

.PHONY: k8s
k8s: installed $(KUBESCORE) $(KUSTOMIZE) ## check the manifests, the alerts and the dashboard without a cluster
	@$(call gotest,-count=1 ./...,$(K8SLOG),k8s)
	KUBE_SCORE='$(KUBESCORE)' KUSTOMIZE='$(KUSTOMIZE) build' sh k8s/kube-score.sh
	sh .ci/monitoring

$(KUBESCORE):
	GOBIN=$(@D) $(GO) install github.com/zegl/kube-score/cmd/kube-score@$(KUBESCORE_VERSION)

$(KUSTOMIZE):
	GOBIN=$(@D) $(GO) install sigs.k8s.io/kustomize/kustomize/v5@$(KUSTOMIZE_VERSION)

.PHONY: test-cluster
test-cluster: ## test the manifests on the cluster of the current kubeconfig (k8s/e2e/images.sh makes the images)
	cd k8s && $(GO) test -tags cluster -count=1 -v -timeout 20m ./e2e

.PHONY: test-systemd
test-systemd: installed ## test docs/install/wxsidecar.service under a real systemd, as root
	$(GO) test -tags systemd -count=1 -v -run TestUnit_RunsUnderSystemd ./sidecar/systemtest

.PHONY: lint
lint: $(GOFUMPT) $(GOLANGCILINT) $(ACTIONLINT) ## run gofumpt, golangci-lint and actionlint
	$(ACTIONLINT) -shellcheck= -pyflakes=
	@files=$$($(GOFUMPT) -l .) || exit 1; \
	if [ -n "$$files" ]; then echo "gofumpt would change (bin/gofumpt-$(GOFUMPT_VERSION)/gofumpt -w .):"; echo "$$files"; exit 1; fi
	$(GOLANGCILINT) run --build-tags attack,systemd ./...
	cd k8s && $(GOLANGCILINT) run --build-tags cluster ./...
	cd bench && $(GOLANGCILINT) run --build-tags bill ./...
	cd bench/peers && $(GOLANGCILINT) run ./...
	cd client/sdktest && $(GOLANGCILINT) run --build-tags languages ./...
	$(GOLANGCILINT) run --build-tags chaos ./sidecar/keeper
	cd bench/chaos && $(GOLANGCILINT) run ./...

.PHONY: lint-docs
lint-docs: ## check the documentation: Markdown, links, sentences, terms, Chinese punctuation (needs node and npm)
	sh docs/lint.sh

$(ACTIONLINT):
	GOBIN=$(@D) $(GO) install github.com/rhysd/actionlint/cmd/actionlint@$(ACTIONLINT_VERSION)

$(GOFUMPT):
	GOBIN=$(@D) $(GO) install mvdan.cc/gofumpt@$(GOFUMPT_VERSION)

$(GOLANGCILINT):
	GOBIN=$(@D) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCILINT_VERSION)

.PHONY: vulncheck
vulncheck: $(GOVULNCHECK) ## search all modules, and the Go of a release, for known vulnerabilities, by the pinned database
	@db=$$($(GO) mod download -json golang.org/x/vulndb@$(VULNDB_VERSION) | sed -n 's/^.*"Dir": "\(.*\)".*/\1/p'); \
	for module in . k8s bench bench/chaos bench/peers client/sdktest; do \
		echo "$$module: govulncheck"; \
		GOVERSION="go$$(cat .ci/go-version)" $(GOVULNCHECK) -C $$module -db "file://$$db/data/osv" -test ./... || exit 1; \
	done

$(GOVULNCHECK):
	GOBIN=$(@D) $(GO) install golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION)

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (10s)
	@GO='$(GO)' bash .ci/fuzz '$(FUZZTIME)' '$(FUZZLOG)'

.PHONY: sim
sim: ## simulate SEEDS (100) random days of HOURS (24) from seed START (1), then a month, in virtual time
	$(GO) test ./sidecar/keeper/sim -run 'TestSimulation$$' -count=1 -timeout 0 -v \
		-sim.seeds=$(SEEDS) -sim.hours=$(HOURS) -sim.seed=$(START)
	$(GO) test ./sidecar/keeper/sim -run 'TestSimulation$$' -count=1 -timeout 0 -v -sim.seeds=1 -sim.hours=720 -sim.seed=$(START)

.PHONY: broken
broken: ## remove each guard of the protocol in turn: the explorer, a test or the simulation must notice
	$(GO) test ./sidecar/keeper -run 'TestBroken' -count=1 -timeout 0 -v -broken

# An interrupted exploration continues: bin/explore has what is left. (1,1) takes six minutes, or over half an hour for each start with an upstream; the others take days.
EXPLORE_BOUNDS ?= 1,1 2,1 3,1 2,2
EXPLORE_FOR    ?= 0
EXPLORE_SAMPLE ?= 10m

.PHONY: explore
explore: ## explore two sidecars within EXPLORE_BOUNDS, each start for EXPLORE_FOR (0: to the end), then random schedules of three
	$(GO) test ./sidecar/keeper/explore -run 'TestExplore$$' -count=1 -timeout 0 -v \
		-explore.bounds='$(EXPLORE_BOUNDS)' -explore.for=$(EXPLORE_FOR) -explore.save='$(CURDIR)/bin/explore'
	$(GO) test ./sidecar/keeper/explore -run 'TestExplore$$' -count=1 -timeout 0 -v -explore.bounds= \
		-explore.starts='three: due;three: cold;three: reported' -explore.sample=3,1 -explore.for=$(EXPLORE_SAMPLE)

.PHONY: explore-short
explore-short: ## explore for two minutes: bounds (1, 1) of one start, then random schedules
	$(GO) test ./sidecar/keeper/explore -run 'TestExplore$$' -count=1 -timeout 10m -v \
		-explore.bounds=1,1 -explore.starts='due' -explore.for=70s -explore.seed=$(START)
	$(GO) test ./sidecar/keeper/explore -run 'TestExplore$$' -count=1 -timeout 10m -v -explore.bounds= \
		-explore.starts='cold;reported;three: due' -explore.sample=3,1 -explore.for=20s -explore.seed=$(START)

.PHONY: fleet
fleet: installed ## measure fleets in virtual time and as processes, up to 10,000 accounts; 20 minutes
	$(GO) test ./sidecar/systemtest -run 'TestFleet' -count=1 -timeout 0 -v -fleet.full

.PHONY: bench
bench: ## measure reads, the API and the start beside their floors
	cd bench && $(GO) run .

.PHONY: bench-peers
bench-peers: installed ## compare with other programs at three sizes, for docs/benchmarks.md; 12 minutes
	cd bench/peers && $(GO) run . -keep ../../bin/peers.json -docs ../../docs

.PHONY: bill
bill: installed ## measure what a sidecar costs its pod; BILL_FLAGS=-others: other sidecars too
	cd bench && $(GO) test -tags bill -count=1 -timeout 20m -v -run '^TestBill$$' . $(BILL_FLAGS)

.PHONY: attack
attack: installed ## attack real sidecars in cgroups of the pod's size, ATTACK_TIME (6s) each, as root
	$(GO) test -tags attack -count=1 -timeout 15m -v -run '^TestAttack' ./sidecar/systemtest -attack.time $(ATTACK_TIME)

.PHONY: chaos
chaos: installed ## run eight real sidecars through every fault, CHAOS_MINUTES (26); logs in bin/chaos
	cd bench/chaos && $(GO) build -o $(CURDIR)/bin/chaos/chaos . && exec $(CURDIR)/bin/chaos/chaos -minutes $(CHAOS_MINUTES) -out $(CURDIR)/bin/chaos

.PHONY: screenshots
screenshots: build ## make docs/*.png from the demo (needs chromium, pngquant, optipng, fonts-inter, fonts-noto-cjk)
	docs/screenshots.sh bin/sidecar docs

.PHONY: image
image: ## build the container image (IMAGE, IMAGE_FLAGS), or the static binary without docker or podman
	@for engine in docker podman; do \
		if command -v $$engine >/dev/null 2>&1 && $$engine info >/dev/null 2>&1; then \
			echo "$$engine build $(IMAGE_FLAGS) -t $(IMAGE) ."; \
			$$engine build $(IMAGE_FLAGS) --build-arg VERSION='$(VERSION)' --build-arg COMMIT='$(COMMIT)' -t '$(IMAGE)' . || exit 1; \
			$$engine image inspect --format 'image $(IMAGE): {{.Size}} bytes' '$(IMAGE)'; exit; \
		fi; \
	done; \
	echo 'image: neither docker nor podman answers here; building the static binary instead'; \
	$(MAKE) --no-print-directory build && \
	echo "bin/sidecar: $$(wc -c <bin/sidecar | tr -d ' ') bytes, gzip $$(gzip -9c bin/sidecar | wc -c | tr -d ' ') bytes"

# Nobody runs what this builds. Without optimization it takes a fifth less time with an empty build cache.
.PHONY: cross
cross: ## build for the systems of CROSS
	@for target in $(CROSS); do \
		echo "build $$target"; \
		CGO_ENABLED=0 GOOS=$${target%/*} GOARCH=$${target#*/} $(GO) build -gcflags='all=-N -l' ./... || exit 1; \
	done

.PHONY: release-dry
release-dry: $(CYCLONEDX) ## build the files of a release of HEAD in bin/release, twice: the bytes must be the same
	@CYCLONEDX='$(CYCLONEDX)' bash .ci/release

$(CYCLONEDX):
	GOBIN=$(@D) $(GO) install -trimpath github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@$(CYCLONEDX_VERSION)

.PHONY: image-push
image-push: ## build IMAGE for amd64 and arm64, from base images by digest, and push it (needs docker buildx)
	@IMAGE='$(IMAGE)' VERSION='$(VERSION)' COMMIT='$(COMMIT)' sh .ci/image

.PHONY: clean
clean: ## remove bin/
	rm -rf bin
