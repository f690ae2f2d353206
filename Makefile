# The same verbs for people and for .ci/run. Every verb works on each module.
MODULES := $(shell find . -name go.mod -not -path '*/node_modules/*' -exec dirname {} \; | sort)
FUZZTIME ?= 30s
BENCHTIME ?= 0.2s
CROSS := linux/amd64 linux/arm64 linux/arm/6 linux/mipsle linux/riscv64 windows/amd64 darwin/arm64

.PHONY: test lint fuzz bench interop cross

test:
	@for m in $(MODULES); do echo "== test $$m"; (cd $$m && go test -race -shuffle=on ./...) || exit 1; done

lint:
	@out=$$(gofumpt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "not formatted:"; echo "$$out"; exit 1; fi
	@for m in $(MODULES); do echo "== lint $$m"; (cd $$m && go vet -tags interop ./... && golangci-lint run --config $(CURDIR)/.golangci.yml --build-tags interop ./...) || exit 1; done

# Every fuzz target for FUZZTIME, one after the other.
fuzz:
	@for m in $(MODULES); do (cd $$m && go list ./... | while read -r p; do \
		for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz'); do \
			$(CURDIR)/.ci/fuzz $$p $$f $(FUZZTIME) || exit 1; \
		done || exit 1; \
	done) || exit 1; done

# A smoke run; BENCH=1 measures for real and prints the table of ratios.
bench:
ifdef BENCH
	cd bench && go run ./cmd/table
else
	@for m in $(MODULES); do echo "== bench $$m"; (cd $$m && go test -run '^$$' -bench . -benchtime $(BENCHTIME) ./...) || exit 1; done
endif

# Against programs of others; .ci/run installs them.
interop:
	cd interop && go test -tags interop -count=1 -v ./...
	cd contrib/postgres && go test -tags interop -count=1 -v ./...

cross:
	@for t in $(CROSS); do \
		os=$${t%%/*}; rest=$${t#*/}; arch=$${rest%%/*}; arm=$${rest#*/}; [ "$$arm" = "$$rest" ] && arm=; \
		echo "== $$t"; CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch GOARM=$$arm go build ./... || exit 1; \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch GOARM=$$arm go vet ./... || exit 1; \
	done
