# The two commands of the README, and the long form of the tests.

.PHONY: demo test soak bench build

# Three hosts, two tenants with the same addresses, from the openstack CLI to the kernel.
demo:
	@scripts/install rust demo
	@cargo build --quiet --workspace --bins
	@demo/run

# Everything that must hold, in short, with the same random cases each time; `make soak` draws new ones. Needs root: it makes
# network namespaces. What this host's kernel lacks is tested in a virtual machine (docs/vm.md).
test: export PROPTEST_RNG_SEED ?= 20261121
test:
	@scripts/install rust test vm
	cargo xtask tidy
	cargo fmt --all -- --check
	cargo clippy --workspace --all-targets --quiet -- --deny warnings
	cargo build --workspace --bins
	cargo test --workspace --no-fail-fast
	demo/run

# The same tests in their long form, each time with other random cases: 10,000 seeds of the simulation (SEEDS says how many), ten times
# as many cases of every property, states of the kernel, rounds of damage and kills as `make test`. It prints what it began with:
# WEFT_SEED=… make soak does the same again. Those that need VLAN or VRF devices (vlan::, as_devices::, labels::), or change what is
# the whole host's (neighbours::), run in the virtual machine. At the end it looks for bytes that break what reads them, WEFT_FUZZ_SECONDS (3600) long for each target of `fuzz/`.
soak:
	@scripts/install rust test vm fuzz
	cargo build --release --workspace --bins
	@WEFT_SOAK=$${SEEDS:-10000} WEFT_SEED=$${WEFT_SEED:-$$(date +%s)}; PROPTEST_RNG_SEED=$$WEFT_SEED; \
	export WEFT_SOAK WEFT_SEED PROPTEST_RNG_SEED; echo "the long form: SEEDS=$$WEFT_SOAK WEFT_SEED=$$WEFT_SEED make soak"; \
	cargo test --workspace --release --no-fail-fast -- --include-ignored --skip vlan:: --skip as_devices:: --skip labels:: --skip neighbours:: --skip a_tenant_that_asks || \
	{ echo "failed: SEEDS=$$WEFT_SOAK WEFT_SEED=$$WEFT_SEED make soak does the same again"; exit 1; }
	scripts/fuzz

# The figures of docs/speed.md.
bench:
	cargo build --release --workspace --bins
	cargo xtask bench
