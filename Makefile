# What people and CI run. `make` alone prints the list below.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

LINT := go tool -modfile=tools/go.mod golangci-lint

# Where goroutines meet. The race detector makes everything several times slower,
# and pure functions have no races.
RACE ?= ./cmd/... ./jobs/... ./pipeline/bucket/...

# How long each fuzz target runs, as go test -fuzztime takes it.
FUZZTIME ?= 20s

# Packages that ./... leaves out, because their folder is called testdata.
TESTDATA := ./testdata ./testdata/cases ./testdata/demo/generate

SEEDS   ?= 1000-1100
SAMPLES ?= $(CURDIR)/bin/samples
LINES   ?= 1000000
ROUNDS  ?= 3
SUBSCRIPTIONS ?= 1000000
WORLD   ?= $(CURDIR)/bin/world-$(SUBSCRIPTIONS)

.PHONY: help profile bench bench-rival bench-reconcile bench-prices store-server build demo test twin faults kill second-readers race fmt fmt-check vet lint fuzz cover ci

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build bin/calends, optimised for where a month spends its time
	go build -trimpath -pgo=cmd/calends/bench.pgo -o bin/calends ./cmd/calends

profile: ## Renew what build optimises for, from the world of bench-rival
	bin/calends bench run $(WORLD)-simple --workers 1 --formats csv,parquet --to nowhere --cpu-profile cmd/calends/bench.pgo

store-server: ## Install the S3 server that some tests want, and are skipped without
	go install github.com/versity/versitygw/cmd/versitygw@v1.8.0

demo: ## Run the whole month on the demo company
	go run ./cmd/calends demo

test: ## Run all tests
	go test ./... $(TESTDATA)

twin: ## Live more random lives beside the second implementation of the rules (SEEDS=1000-1100)
	CALENDS_TWIN_SEEDS=$(SEEDS) go test ./jobs -run TestTwin -timeout 60m

faults: ## Let every operation of the store go wrong once, in every way (an hour; the tests take some of them)
	CALENDS_FAULTS=all go test ./jobs -count=1 -run TestFaults -timeout 4h

kill: ## Kill the program at random moments and compare with an undisturbed bucket (ROUNDS=3)
	CALENDS_KILL_ROUNDS=$(ROUNDS) go test ./cmd/calends -count=1 -v -run TestKilledAtRandom -timeout 2h

second-readers: ## Hold exports against DuckDB and LibreOffice, alerts against Prometheus (the first time builds them)
	rm -rf $(SAMPLES) && mkdir -p $(SAMPLES)
	go test ./exports -count=1 -run TestWriteSamples -samples $(SAMPLES)
	go run ./cmd/calends demo --quiet $(SAMPLES)/demo > /dev/null
	cd testdata/secondreader && CGO_ENABLED=1 go run . $(SAMPLES)
	cd testdata/alerts && go test ./...
	go test ./exports -count=1 -v -run InLibreOffice

bench: build ## Bill an invented month and say how long it took (SUBSCRIPTIONS=1000000); the world is kept in WORLD=bin/world-1000000
	bin/calends bench make $(WORLD) --subscriptions $(SUBSCRIPTIONS)
	bin/calends bench run $(WORLD)

bench-rival: ROUNDS = 5
bench-rival: build ## The same for a simple month, beside DuckDB (SUBSCRIPTIONS=1000000, ROUNDS=5; the first time builds DuckDB)
	bin/calends bench make $(WORLD)-simple --simple --subscriptions $(SUBSCRIPTIONS)
	cd testdata/rivals/month && CGO_ENABLED=1 go run . $(CURDIR)/bin/calends $(WORLD)-simple $(ROUNDS)

bench-reconcile: build ## Compare a million lines with a million, beside DuckDB (LINES=1000000, ROUNDS=3)
	rm -rf $(SAMPLES)/reconcile && mkdir -p $(SAMPLES)/reconcile
	go test ./jobs -count=1 -run TestWriteReconcileWorld -reconcile-world $(SAMPLES)/reconcile -reconcile-lines $(LINES)
	cd testdata/rivals/reconcile && CGO_ENABLED=1 go run . $(CURDIR)/bin/calends $(SAMPLES)/reconcile $(ROUNDS)

bench-prices: ROWS = 1000000
bench-prices: build ## Ask a server for prices on this machine, and say how fast it answers (ROWS=1000000)
	bin/calends bench prices --rows $(ROWS) --keys 10 --connections 8

race: ## Run the concurrent packages' tests under the race detector, in random order
	go test -race -short -shuffle=on -timeout 30m $(RACE)

fmt: ## Format the Go files and sort their imports
	$(LINT) fmt

fmt-check: ## Fail if a Go file is not formatted
	@files=$$(git ls-files -z --cached --others --exclude-standard -- '*.go' | xargs -0 -r gofmt -l); \
	if [ -n "$$files" ]; then printf 'not formatted (make fmt):\n%s\n' "$$files" >&2; exit 1; fi

vet: ## Run go vet
	go vet ./... $(TESTDATA)

lint: ## Run golangci-lint as tools/go.mod pins it (the first time builds it: minutes)
	$(LINT) run --allow-parallel-runners ./...

fuzz: ## Run every fuzz target for FUZZTIME (20s)
	tools/fuzz $(FUZZTIME)

cover: ## Measure the tests' coverage; coverage.html shows it line by line
	go test -coverprofile=coverage.out ./...
	go tool cover -html=coverage.out -o coverage.html
	go tool cover -func=coverage.out | tail -1

ci: ## Run what CI runs
	.ci/run
