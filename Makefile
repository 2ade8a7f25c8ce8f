# Pinion's tasks. `make help` lists them.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

GO ?= go
TOOLS := $(CURDIR)/.tools/bin
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- product

# The managed BuildKit is for Linux alone.
PROGRAMS := ./cmd/pinion $(if $(filter linux,$(shell $(GO) env GOOS)),./cmd/pinion-buildkitd)

.PHONY: build
build: ## Build bin/pinion and, on Linux, bin/pinion-buildkitd that belongs beside it
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/ $(PROGRAMS)

PREFIX ?= /usr/local
# Some shells, such as zsh, leave the ~ of PREFIX=~/.local as it is.
override PREFIX := $(patsubst ~/%,$(HOME)/%,$(PREFIX))
# Docker's client looks for plugins of all users here, and for one's own in ~/.docker.
PLUGINS ?= $(if $(filter /usr /usr/local,$(PREFIX)),$(PREFIX)/libexec/docker/cli-plugins,$(or $(DOCKER_CONFIG),$(HOME)/.docker)/cli-plugins)

.PHONY: install
install: build ## Install into PREFIX (/usr/local), and as `docker pinion`; PREFIX=~/.local is for oneself
	install -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PLUGINS)'
	install $(PROGRAMS:./cmd/%=bin/%) '$(DESTDIR)$(PREFIX)/bin'
	ln -sfn '$(abspath $(PREFIX))/bin/pinion' '$(DESTDIR)$(PLUGINS)/docker-pinion'

.PHONY: uninstall
uninstall: ## Remove what install put there
	rm -f $(PROGRAMS:./cmd/%='$(DESTDIR)$(PREFIX)/bin/%') '$(DESTDIR)$(PLUGINS)/docker-pinion'

.PHONY: demo
demo: ## Ensure a template of a git server of its own twice and show both receipts
	@echo 'building the demo (a few minutes on a cold build cache)'
	@$(GO) run ./test/demo

.PHONY: docs
docs: ## Write the generated reference and tables
	$(GO) run ./cmd/pinion/internal/gendocs .

.PHONY: api
api: ## Write api.txt, the list of what the root package exports
	$(GO) test -count=1 ./test/house -run '^TestAPI$$' -update

# --- tests

.PHONY: test-unit
test-unit: ## Run the tests that need nothing but Go
	$(GO) test -short -timeout 3m ./...
	$(GO) test -tags failpoints ./internal/failpoint
	cd client && $(GO) test -short -timeout 3m ./...

.PHONY: test-race
test-race: ## Run them under the race detector
	$(GO) test -short -race -timeout 5m ./...
	cd client && $(GO) test -short -race -timeout 5m ./...

# One package at a time: the end-to-end suites start engines and builders, and two cores carry one such suite.
.PHONY: test
test: tools browser-tools parts ## Run everything, on real git servers, engines and builders
	$(GO) test -count=1 -p 1 -timeout 50m ./...
	cd test/tools/browser && $(GO) test -count=1 -timeout 15m ./...
	cd test/tools/apiclient && $(GO) generate ./... && $(GO) test -count=1 -timeout 10m ./...

# `make test` takes one engine and builder for each test that holds for several, and leaves out slow
# tests on two of three days.
.PHONY: test-matrix
test-matrix: tools parts ## Run the slow tests too, and each on all engines and builders that it has
	PINION_TEST_CELLS=all $(GO) test -count=1 -p 1 -timeout 90m ./buildkit ./test/e2e

.PHONY: parts
parts: ## Say which real parts this machine can run, and how to get the others
	@$(GO) run ./test/partscheck

.PHONY: bench
bench: tools ## Compare with a script, docker buildx and a clone; write docs/performance.md (an hour at most)
	$(GO) run ./test/bench

.PHONY: scale
scale: ## Measure time and memory for each of many templates, records, blobs, builds and streams
	$(GO) test -run '^$$' -bench . -benchtime 3x -timeout 30m ./test/scale
	$(GO) test -run '^$$' -bench Streams -benchtime 20x ./cmd/internal/server

# --- checks

MODULES := . client $(wildcard test/tools/*)
# One of each system and word size; cross-all has every target.
CROSS := linux/arm64 linux/386 darwin/arm64 windows/amd64 freebsd/amd64
CROSS_ALL := linux/amd64 linux/arm64 linux/386 linux/arm darwin/amd64 darwin/arm64 windows/amd64 windows/arm64 freebsd/amd64 freebsd/arm64

.PHONY: verify
verify: vet lint house-check docs-check tidy-check cross vulncheck ## Check the sources: vet, lint, imports, API, generated docs, module files, vulnerabilities

.PHONY: vet
vet: ## Run go vet
	$(GO) vet ./...
	cd client && $(GO) vet ./...

.PHONY: lint
lint: $(TOOLS)/golangci-lint ## Run golangci-lint in its pinned version
	$(TOOLS)/golangci-lint run ./...
	cd client && $(TOOLS)/golangci-lint run ./...

# Not from the test cache, which knows nothing of what `go list` read.
.PHONY: house-check
house-check: ## Check which package imports which, and the API of the root package with api.txt
	$(GO) test -count=1 ./test/house

.PHONY: docs-check
docs-check: ## Check that the generated reference and tables are up to date
	@dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; \
	cp -R README.md docs "$$dir" && $(GO) run ./cmd/pinion/internal/gendocs "$$dir" && \
	diff -u README.md "$$dir/README.md" && diff -ru docs "$$dir/docs" || \
	{ echo 'the documentation is out of date: run `make docs`' >&2; exit 1; }

.PHONY: tidy-check
tidy-check: ## Check that every module's files are tidy
	@for module in $(MODULES); do \
		(cd "$$module" && $(GO) mod tidy -diff >/dev/null) || { echo "$$module is not tidy: run \`go mod tidy\` there" >&2; exit 1; }; \
	done

# A database of one's own is for networks without a way out: https://go.dev/doc/security/vuln/database.
VULNDB ?= https://vuln.go.dev

.PHONY: vulncheck
vulncheck: $(TOOLS)/govulncheck ## Look for known vulnerabilities; PINION_REQUIRE_VULNDB=1 fails without VULNDB
	@code=0; out=$$($(TOOLS)/govulncheck -db '$(VULNDB)' ./... 2>&1) || code=$$?; \
	if [ $$code = 1 ] && [[ $$out == *'fetching vulnerabilities'* ]] && [ "$${PINION_REQUIRE_VULNDB:-0}" != 1 ]; then \
		echo '!!! VULNERABILITIES WERE NOT CHECKED: $(VULNDB) is out of reach (PINION_REQUIRE_VULNDB=1 makes this a failure)' >&2; \
	else \
		echo "$$out"; exit $$code; \
	fi

.PHONY: cross-all
cross-all: ## Build and vet for every target that pinion runs on
	@$(MAKE) --no-print-directory cross CROSS='$(CROSS_ALL)'

.PHONY: cross
cross: ## Build and vet for each system that pinion runs on
	@for target in $(CROSS); do \
		echo "go build and vet for $$target"; \
		export CGO_ENABLED=0 GOOS=$${target%/*} GOARCH=$${target#*/}; \
		$(GO) build ./... && $(GO) vet ./... && (cd client && $(GO) vet ./...) || { echo "$$target fails" >&2; exit 1; }; \
	done

# --- tools: each heavy one is a module of its own, so that its dependencies never meet ours. Minutes on a cold build cache.

PART_TOOLS := buildkitd dockerd buildx gitea registry
MODULE_TOOLS := $(PART_TOOLS) golangci-lint govulncheck

.PHONY: tools
tools: $(PART_TOOLS:%=$(TOOLS)/%) $(TOOLS)/registry-passwd ## Build the real parts that come from Go modules

.PHONY: $(MODULE_TOOLS)
$(MODULE_TOOLS): %: $(TOOLS)/%

# The package to build, the module that gives the version, and where the linker writes it: a library build has none of its own, and the parts
# report theirs to Pinion.
$(TOOLS)/buildkitd: PACKAGE := github.com/moby/buildkit/cmd/buildkitd
$(TOOLS)/buildkitd: MODULE := github.com/moby/buildkit
$(TOOLS)/buildkitd: STAMP := github.com/moby/buildkit/version.Version=v
$(TOOLS)/dockerd: PACKAGE := github.com/moby/moby/v2/cmd/dockerd
$(TOOLS)/dockerd: MODULE := github.com/moby/moby/v2
$(TOOLS)/dockerd: STAMP := github.com/moby/moby/v2/dockerversion.Version=29.0.0+moby-v
$(TOOLS)/buildx: PACKAGE := github.com/docker/buildx/cmd/buildx
$(TOOLS)/buildx: MODULE := github.com/docker/buildx
$(TOOLS)/buildx: STAMP := github.com/docker/buildx/version.Version=v
$(TOOLS)/gitea: PACKAGE := code.gitea.io/gitea
$(TOOLS)/gitea: MODULE := code.gitea.io/gitea
$(TOOLS)/gitea: STAMP := main.Version=
$(TOOLS)/gitea: TAGS := -tags 'sqlite sqlite_unlock_notify'
$(TOOLS)/registry: PACKAGE := github.com/distribution/distribution/v3/cmd/registry
$(TOOLS)/registry: MODULE := github.com/distribution/distribution/v3
$(TOOLS)/registry: STAMP := github.com/distribution/distribution/v3/version.version=v
$(TOOLS)/golangci-lint: PACKAGE := github.com/golangci/golangci-lint/v2/cmd/golangci-lint
$(TOOLS)/golangci-lint: MODULE := github.com/golangci/golangci-lint/v2
$(TOOLS)/golangci-lint: STAMP := main.version=
$(TOOLS)/govulncheck: PACKAGE := golang.org/x/vuln/cmd/govulncheck
$(TOOLS)/govulncheck: MODULE := golang.org/x/vuln
$(TOOLS)/govulncheck: STAMP := main.version=

$(MODULE_TOOLS:%=$(TOOLS)/%): $(TOOLS)/%: test/tools/%/go.mod test/tools/%/go.sum
	@echo "building $* of $(MODULE)"
	@mkdir -p $(TOOLS)
	@cd test/tools/$* && version=$$($(GO) list -m -f '{{.Version}}' $(MODULE)) && \
	$(GO) build -buildvcs=false $(TAGS) -ldflags "-s -w -X $(STAMP)$${version#v}" -o $@ $(PACKAGE)
	@touch $@

$(TOOLS)/registry-passwd: test/tools/registry/go.mod test/tools/registry/go.sum test/tools/registry/registry-passwd/main.go
	@echo "building registry-passwd"
	@mkdir -p $(TOOLS)
	@cd test/tools/registry && $(GO) build -buildvcs=false -o $@ ./registry-passwd
	@touch $@

# axe-core comes from npm. A laptop without npm skips its tests.
.PHONY: browser-tools
browser-tools: ## Get what the tests of the web page need beside Chromium
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory .tools/axe.min.js; \
	else echo '!!! no npm: the accessibility of the web page is not tested' >&2; fi

.tools/axe.min.js: test/tools/browser/package-lock.json
	@dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; \
	cp test/tools/browser/package.json test/tools/browser/package-lock.json "$$dir" && \
	(cd "$$dir" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null) && \
	mkdir -p .tools && cp "$$dir/node_modules/axe-core/axe.min.js" $@

.PHONY: clean
clean: ## Remove what was built, tools included
	rm -rf bin .tools
