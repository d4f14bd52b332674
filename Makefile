# Two commands do all the set-up on a fresh Debian machine: `make run` and `make test`.

SEEDS ?= 200
FROM ?= 1
# Further arguments for the server: make run ARGS="--cert fullchain.pem --key privkey.pem"
ARGS ?=
LOAD ?=
MEASURE ?=

export PUPPETEER_SKIP_DOWNLOAD = 1

.PHONY: build run check test sim quality bench measure fuzz web-check browser-test clean

## build the release binary with the web client inside
build:
	scripts/need.sh build
	$(MAKE) --no-print-directory web/dist/index.html
	cargo build --release --locked -p tertulia

## build and start Tertulia; opens nothing, prints the address
run: build
	exec target/release/tertulia serve $(ARGS)

## the fast part, without network, for each commit
check:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked --offline -- -D warnings
	cargo test --workspace --locked --offline --exclude tertulia-tests
	cargo test --locked --offline -p tertulia-tests --test architecture --test conversation \
		--test defaults --test fuzz_corpus
	if [ -d web/node_modules ]; then $(MAKE) --no-print-directory web-check; fi

## everything: what CI runs
test:
	scripts/need.sh test
	cargo fetch --locked
	$(MAKE) --no-print-directory web/dist/index.html
	$(MAKE) --no-print-directory check
	cargo build --locked -p tertulia
	cargo test --locked -p tertulia-tests --test process
	$(MAKE) --no-print-directory sim
	$(MAKE) --no-print-directory browser-test

## whole meetings in the simulator: make sim SEEDS=n FROM=k [TWICE=1] [LOUD=1] [BREAK=name]
sim:
	cargo run --locked -q -p tertulia-sim --profile sim -- --seeds $(SEEDS) --from $(FROM) \
		$(if $(TWICE),--twice) $(if $(LOUD),--loud) $(if $(BREAK),--break $(BREAK))

## call quality on bad networks, against docs/quality.md; WRITE=1 writes it there
quality:
	cargo bench --locked -q -p tertulia-sim --profile sim --bench quality -- $(if $(WRITE),--write)

## cost of hot paths against the floor of their own work, of the server against Janus; all ratios
## of one run. bench/README.md; make bench LOAD="webinar --quick" for a part of the server's
bench: build
	scripts/need.sh bench
	rm -rf target/bench
	cargo build --release --locked -p tertulia-bench
	cargo bench --locked -p tertulia-transport --bench forward
	cargo bench --locked -p tertulia-bridge --bench forward
	cargo bench --locked -p tertulia-conference --bench broadcast
	cargo test --locked -q -p tertulia-bridge --test allocations
	bench/run.sh target/release/tertulia-bench $(LOAD)
	node scripts/bench-table.mjs

## real browsers on bad networks, changing sizes and addresses; by hand, as root, on a quiet machine.
## tests/browser/measure/README.md; make measure MEASURE="quality --network wifi" for one of them
measure: build tests/browser/node_modules/.package-lock.json
	cargo build --release --locked -p tertulia-bench --bin tertulia-link
	cd tests/browser/measure && for one in $(if $(MEASURE),"$(MEASURE)",switches move quality); do \
		set -- $$one; part=$$1; shift; node $$part.mjs "$$@" || exit 1; done

## fuzz one parser by hand (nightly compiler and cargo-fuzz): make fuzz TARGET=stream
fuzz:
	cargo +nightly fuzz run $(TARGET)

web/node_modules/.package-lock.json: web/package.json web/package-lock.json
	cd web && npm ci --no-audit --no-fund
	touch $@

WEB_SOURCES := $(shell find web -path web/node_modules -prune -o -path web/dist -prune -o -type f -print 2>/dev/null)
web/dist/index.html: web/node_modules/.package-lock.json $(WEB_SOURCES)
	cd web && npm run build
	touch $@

web-check: web/node_modules/.package-lock.json
	cd web && npm run check && npm test

tests/browser/node_modules/.package-lock.json: tests/browser/package.json tests/browser/package-lock.json
	cd tests/browser && npm ci --no-audit --no-fund
	touch $@

## user stories in Debian's Chromium and Firefox ESR with fake devices
browser-test: tests/browser/node_modules/.package-lock.json web/dist/index.html
	cd web && npm run size
	cargo build --release --locked -p tertulia
	cd tests/browser && node run.mjs

clean:
	rm -rf target web/dist web/node_modules tests/browser/node_modules
