//! Compiles the protocol's `.proto` without a `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    const FILE: &str = "proto/weft/agent/v1/agent.proto";
    println!("cargo::rerun-if-changed={FILE}");
    let files = protox::compile([FILE], ["proto"])?;
    tonic_prost_build::configure().bytes(".weft.agent.v1").btree_map(".weft.agent.v1").compile_fds(files)?;
    Ok(())
}
