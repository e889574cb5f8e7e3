# `make help` lists what there is. Everything needs Go only; what else a target
# wants it installs or starts itself.

GO            ?= go
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
SWAGGER       := github.com/go-swagger/go-swagger/cmd/swagger@v0.33.1
# Left out of the binary: drivers of databases nobody here uses.
TAGS          := nobadger,nomysql,nopgx
FUZZTIME      ?= 60s
BENCH         ?= .
# The tests start Caddy: it keeps its files here and not in your home.
CADDY_HOME    := $(CURDIR)/.cache/caddy

.DEFAULT_GOAL := help
.PHONY: help build run test chaos lint fmt fuzz microbench bench bench-quick xcaddy clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build bin/xivo-auth
	$(GO) build -trimpath -tags $(TAGS) -o bin/xivo-auth ./cmd/xivo-auth

run: build ## Build it and run the shipped Caddyfile: https://localhost:9497
	./bin/xivo-auth run --config Caddyfile --adapter caddyfile

test: export XDG_DATA_HOME := $(CADDY_HOME)
test: export XDG_CONFIG_HOME := $(CADDY_HOME)
test: ## Run all tests, with the race detector, over a private Postgres
	$(GO) run ./internal/pgtest/cmd/withpg $(GO) test -race -timeout 25m -tags $(TAGS) ./...
	$(GO) test -tags $(TAGS) -run AllocBudget ./authsvc/guard ./caddymodule

chaos: ## Break three nodes and their Postgres for 5 minutes, and judge what they answered
	$(GO) test -tags $(TAGS) -count 1 -v -timeout 20m -run '^TestChaos' ./internal/chaos -chaos.duration 5m

lint: ## Check style, mistakes, the arrows between packages and the OpenAPI document
	$(GO) run $(GOLANGCI_LINT) run ./...
	@mkdir -p .cache
	$(GO) run -tags $(TAGS) ./internal/apidoc >.cache/api.yml
	$(GO) run $(SWAGGER) validate .cache/api.yml

fmt: ## Format the code
	$(GO) run $(GOLANGCI_LINT) fmt ./...

fuzz: ## Fuzz every parser, FUZZTIME each
	@set -e; for pkg in $$($(GO) list ./...); do \
		dir=$$($(GO) list -f '{{.Dir}}' $$pkg); \
		for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' $$dir/*_test.go 2>/dev/null); do \
			echo "== $$pkg $$name"; \
			$(GO) test -tags $(TAGS) -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$pkg; \
		done; \
	done

microbench: ## Run the benchmarks beside the code, BENCH=regexp chooses
	$(GO) run ./internal/pgtest/cmd/withpg $(GO) test -tags $(TAGS) -run '^$$' -bench '$(BENCH)' -benchmem -p 1 ./...

bench: build ## Measure it beside its peers, in half an hour; writes bench/results
	bench/peers/build.sh bin/peers
	$(GO) build -tags $(TAGS) -o bin/bench ./bench
	./bin/bench

bench-quick: build ## A look at the same, in three minutes, without peers that are not built; writes bin/bench-quick
	$(GO) build -tags $(TAGS) -o bin/bench ./bench
	./bin/bench -quick -out bin/bench-quick

xcaddy: ## Build the module into a plain Caddy, as others do, and look at it
	./xcaddy/build.sh
	./bin/caddy version
	./bin/caddy list-modules --packages | grep xivo_auth

clean: ## Remove what was built
	rm -rf bin .cache
