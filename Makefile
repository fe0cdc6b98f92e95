# `make help` lists what there is. Everything here is a short name for a go
# command or a script; nothing has to be installed but Go and, for the tests,
# what scripts/test.sh names.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT  ?= $(shell git rev-parse HEAD 2>/dev/null)
ARGS    ?=

.DEFAULT_GOAL := help
.PHONY: help screenshots run test check lint fmt build bench bench-custody soak completions

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## start a server on http://localhost:8082 (ARGS="--listen …")
	go run . serve $(ARGS)

test: ## run every test, or those that ARGS names (ARGS="./pkg/store/ -run X")
	@scripts/test.sh $(ARGS)

check: lint test ## what CI runs: format, vet, linters, import rules, every test

lint: ## check the format, vet, run the linters
	go vet ./...
	@scripts/lint.sh

fmt: ## put every Go file into its right format
	@scripts/lint.sh fmt

build: ## build bin/heartlock: static, without paths, with its version
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)' -o bin/heartlock .

bench: ## measure the server against a bare one, in four minutes (ARGS="-quick", "-help")
	@go run ./pkg/heartlocktest/bench $(ARGS)

bench-custody: ## rotate the key of up to a million secrets, against the same by hand (ARGS="-help")
	@go run ./pkg/heartlocktest/bench custody $(ARGS)

soak: ## kill the server while it writes, and rotations, more than 1300 times, load it, race people, and print the figures; 40 minutes
	@cd pkg/heartlocktest/soak && go test -count=1 -timeout=60m -run 'Killed|Many|Misses|WrongKey|DamagedDatabaseFile' $(ARGS) -soak
	@cd pkg/heartlocktest/people && go test -count=1 -timeout=60m -run 'Keeps|Once' -v $(ARGS) -soak
	@cd pkg/server && go test -count=1 -timeout=60m -run 'OneFirstRun' -v $(ARGS) -soak

screenshots: ## take pictures of every page, into screenshots/ (ARGS="typical /secrets" for some)
	@scripts/screenshots.sh screenshots $(ARGS)

completions: ## write completions/ anew, after a command or a flag changed
	@scripts/completions.sh
