//! `etcdserverpb`, as the build made it from `proto/`.

#![allow(
    clippy::allow_attributes_without_reason,
    clippy::clone_on_ref_ptr,
    clippy::pedantic,
    dead_code,
    missing_docs,
    missing_debug_implementations,
    unnameable_types,
    unreachable_pub,
    unused_qualifications,
    reason = "generated"
)]

tonic::include_proto!("etcdserverpb");
