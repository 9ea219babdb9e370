//! Makes the gRPC service from the description that wharf's demo has. No protoc is needed.

use std::error::Error;

/// Where wharf's demo has its descriptions.
const DESCRIPTIONS: &str = "../../crates/wharf-server/proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={DESCRIPTIONS}");
    let descriptors = protox::compile(["wharf/demo/v1/echo.proto"], [DESCRIPTIONS])?;
    tonic_prost_build::configure()
        .build_client(false)
        .build_transport(false)
        .compile_fds(descriptors)?;
    Ok(())
}
