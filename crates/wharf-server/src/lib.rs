//! wharf, ready to run: what the binary does around the libraries.
//!
//! **Responsible for:** the command line ([`cli`], [`commands`]), the configuration file
//! (`config`) and its reload (`live`), the process from start to drain (`serve`), the thread that stays awake (`bridge`)
//! with signals and the admin API (`admin`), logs (`log`), OpenTelemetry (`otel`), the gateway (`gateway`), and the demo
//! application (`demo`).
//!
//! **Refuses to know:** how a connection is served, counted or timed; that is `wharf-http` and
//! `wharf-pool`.
//!
//! **Start reading** at `serve.rs`.

mod admin;
mod app;
mod bridge;
pub mod cli;
pub mod commands;
mod config;
mod demo;
mod descriptors;
mod event_log;
mod file_watch;
mod gateway;
mod give_back;
mod handed_in;
mod live;
mod log;
mod memory;
#[cfg(feature = "otel")]
mod otel;
#[cfg(not(feature = "otel"))]
#[path = "otel/off.rs"]
mod otel;
mod past;
mod pressure;
mod process;
mod progress;
mod room;
mod serve;
mod service_manager;
mod top;
mod wall_clock;
