# Sourced by the scripts that run something inside the testbed.
# shellcheck shell=bash

# Builds all tests, and the testbed with them; its path is in $testbed then. (`cargo run -p stanchion-tests` works as well,
# but selects the dependencies' features for that one crate, and so builds most of them a second time.)
build_testbed() {
  local target
  cargo test --locked --workspace --no-run "$@"
  target=$(cargo metadata --format-version 1 --no-deps --offline | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
  testbed=$target/debug/testbed
}
