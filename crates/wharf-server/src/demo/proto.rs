//! `wharf.demo.v1`, as the build made it from `proto/`.

#![allow(
    clippy::allow_attributes_without_reason,
    clippy::clone_on_ref_ptr,
    clippy::pedantic,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unused_qualifications,
    reason = "generated"
)]

tonic::include_proto!("wharf.demo.v1");
