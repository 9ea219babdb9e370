//! `bench`: wharf beside its peers, on this machine.

mod balance;
mod bystander;
mod client;
mod compare;
mod descriptors;
mod gateway;
mod idle;
mod memory;
mod overload;
mod peers;
mod protocol;
mod site;
mod table;
mod work;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(about = "wharf beside its peers, on this machine")]
struct Cli {
    #[command(subcommand)]
    question: Question,
}

#[derive(Debug, Subcommand)]
enum Question {
    /// How much memory does a connection hold on which nothing happens?
    Idle(idle::Options),
    /// What does a request cost the processor, and how many a second does one core serve?
    Compare(compare::Options),
    /// What does a client feel while others' idle connections are closed?
    Bystander(bystander::Options),
    /// Does it pay to give each core its own connections?
    Balance(balance::Options),
    /// What does a gateway do to requests, beside others?
    Gateway(gateway::Options),
    /// What is left of a server that is asked for twice what it can do?
    Overload(overload::Options),
}

fn main() -> Result<()> {
    match Cli::parse().question {
        Question::Idle(options) => idle::run(&options),
        Question::Compare(options) => compare::run(&options),
        Question::Bystander(options) => bystander::run(&options),
        Question::Balance(options) => balance::run(&options),
        Question::Gateway(options) => gateway::run(&options),
        Question::Overload(options) => overload::run(&options),
    }
}
