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

# The same tests in their long form: more seeds, more rounds. SEEDS and ROUNDS say how many. Those that need VLAN devices (vlan::)
# run in the virtual machine.
soak:
	@scripts/install rust test vm
	cargo build --workspace --bins
	WEFT_SOAK=$${SEEDS:-10000} cargo test --workspace --release -- --include-ignored --skip vlan::

# The figures of docs/speed.md.
bench:
	cargo build --release --workspace --bins
	cargo xtask bench
