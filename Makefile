# make build    bin/orthanc-bucketfs
# make test     every check there is; installs what is missing (Debian packages)
# make demo     a stock Orthanc on a sealed bucket; cmd/demo says what can be set
# make bench    the Go benchmarks
# make clean    removes bin/

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
COMMIT := $(shell git rev-parse HEAD 2>/dev/null || echo unknown)

.PHONY: build test demo bench clean deps

build:
	CGO_ENABLED=0 go build -trimpath -buildvcs=false \
		-ldflags '-X main.version=$(VERSION) -X main.commit=$(COMMIT)' \
		-o bin/orthanc-bucketfs ./cmd/orthanc-bucketfs

test: deps
	.ci/test

demo: deps
	go run -buildvcs=false ./cmd/demo

bench:
	go test -run '^$$' -bench . -benchmem ./...

clean:
	rm -rf bin

deps:
	.ci/deps
