# make build    bin/orthanc-bucketfs
# make package  bin/package/*.deb and *.rpm
# make test     every check there is; installs what is missing (Debian packages)
# make demo     a stock Orthanc on a sealed bucket; cmd/demo says what can be set
# make bench    the Go benchmarks
# make clean    removes bin/

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
COMMIT := $(shell git rev-parse HEAD 2>/dev/null || echo unknown)

# The packages of one commit are the same to the byte. Without a tag the version
# is that of no release, and newer commits have newer ones.
PACKAGE_VERSION ?= $(shell git describe --tags --exact-match --match 'v[0-9]*' 2>/dev/null | sed 's/^v//' | grep . || \
	TZ=UTC git log -1 --date=format-local:%Y%m%d%H%M%S --format=0.0.0~%cd.%h)
ARCH ?= $(shell go env GOARCH)
PACKAGERS ?= deb rpm
PACKAGE_DIR ?= bin/package
# The newest version all of whose modules the module proxy hands out.
NFPM := github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2

.PHONY: build package test demo bench clean deps

build:
	CGO_ENABLED=0 go build -trimpath -buildvcs=false \
		-ldflags '-X main.version=$(VERSION) -X main.commit=$(COMMIT)' \
		-o bin/orthanc-bucketfs ./cmd/orthanc-bucketfs

package: export SOURCE_DATE_EPOCH = $(shell git log -1 --format=%ct)
package: export VERSION := $(PACKAGE_VERSION)
package: export COMMIT := $(COMMIT)
package: export ARCH := $(ARCH)
package: export PACKAGE_DIR := $(PACKAGE_DIR)
package:
	mkdir -p $(PACKAGE_DIR)
	CGO_ENABLED=0 GOARCH=$(ARCH) go build -trimpath -buildvcs=false \
		-ldflags '-s -w -X main.version=$(PACKAGE_VERSION) -X main.commit=$(COMMIT)' \
		-o $(PACKAGE_DIR)/orthanc-bucketfs ./cmd/orthanc-bucketfs
	GOARCH= go run ./cmd/internal/bill licences $(PACKAGE_DIR)/orthanc-bucketfs >$(PACKAGE_DIR)/LICENSES
	GOARCH= go run ./cmd/internal/bill sbom $(PACKAGE_DIR)/orthanc-bucketfs $(PACKAGE_VERSION) $(COMMIT) >$(PACKAGE_DIR)/sbom.cdx.json
	for page in orthanc-bucketfs.1 orthanc-bucketfs.toml.5; do \
		GOARCH= go run ./cmd/internal/manual config.toml.example \
			<systemd/package/man/$$page | gzip -9n >$(PACKAGE_DIR)/$$page.gz; \
	done
	for packager in $(PACKAGERS); do \
		GOARCH= go run $(NFPM) package --config systemd/package/nfpm.yaml \
			--packager $$packager --target $(PACKAGE_DIR)/; \
	done

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
