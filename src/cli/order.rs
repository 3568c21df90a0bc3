//! The arguments about the order in which hits are shown, and what is shown beside them.

use super::when;
use clap::{Args, ValueEnum};
use harrier::hunt::{Order, SORT_MEMORY};
use std::time::Duration;

#[derive(Debug, Args)]
#[command(next_help_heading = "Timeline")]
pub struct TimelineArgs {
    /// Write hits in this order; without, in that of the evidence, as they are found
    #[arg(long, value_enum, value_name = "ORDER")]
    pub sort: Option<SortArg>,
    /// Write one line for all hits of a rule on a host by the same values: how many, first and last
    #[arg(long)]
    pub group: bool,
    /// Write the host's other events around each hit, too, so long before and after it: 30, 5m, 1h.
    /// They are marked as context and taken from all logs, whatever the filter of events
    #[arg(long, value_name = "SECONDS", value_parser = when::reach, conflicts_with = "group")]
    pub context: Option<Duration>,
    /// Hold so many bytes of hits in memory before temporary files are used
    #[arg(long, value_name = "BYTES", default_value_t = SORT_MEMORY, hide = true)]
    pub sort_memory: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SortArg {
    /// By the events' times over all evidence
    Time,
}

/// What the arguments mean.
pub fn order(args: &TimelineArgs) -> Order {
    match args.sort {
        _ if args.group => Order::Grouped,
        Some(SortArg::Time) => Order::Time,
        None => Order::Evidence,
    }
}
