//! From the arguments about events to the filter of a hunt.

use super::lists;
use super::when::{self, When};
use super::{say, say_warning};
use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use harrier::{
    event::format_file_time,
    evidence::Walk,
    hunt::{EventFilter, Glob, Hunt},
};
use jiff::tz::TimeZone;
use std::{ops::RangeInclusive, time::Instant};

#[derive(Debug, Args)]
#[command(next_help_heading = "Events")]
pub struct EventArgs {
    /// Only events of these channels, as the log or the table names them (Security, Sysmon), with *
    /// and ?; @FILE: one on each line
    #[arg(long, value_name = "LIST")]
    pub channel: Vec<String>,
    /// Only events with these ids: 4624,4625,4700-4799
    #[arg(long, value_name = "LIST")]
    pub event_id: Vec<String>,
    /// Only events of these computers (WS-01 stands for WS-01.example.com too), with * and ?; @FILE:
    /// one on each line
    #[arg(long, value_name = "LIST")]
    pub computer: Vec<String>,
    /// Only events at this time or later: 2026-03-01, 2026-03-01T10:00Z; -7d before the newest event
    /// of the evidence; now-12h
    #[arg(long, value_name = "TIME", value_parser = when::parse, allow_hyphen_values = true)]
    pub from: Option<When>,
    /// Only events before this time, in the same forms
    #[arg(long, value_name = "TIME", value_parser = when::parse, allow_hyphen_values = true)]
    pub to: Option<When>,
    /// Time zone in which tables, CSV and Markdown show times, and of --from and --to without an
    /// offset: UTC, local, +02:00, Europe/Berlin. JSON is in UTC always
    #[arg(long, value_name = "ZONE", default_value = "UTC", allow_hyphen_values = true)]
    pub time_zone: String,
}

/// How much is said on standard error.
#[derive(Debug, Clone, Copy)]
pub struct Said {
    pub quiet: bool,
    pub verbose: bool,
}

/// What the arguments say, but for the times.
pub struct Events {
    filter: EventFilter,
    zone: TimeZone,
}

impl Events {
    /// Reads the arguments.
    pub fn build(args: &EventArgs) -> Result<Events> {
        let globs = |option, values: &[String]| -> Result<Vec<Glob>> {
            let entries = lists::entries(option, values)?;
            Ok(entries.iter().map(|entry| Glob::new(&entry.text)).collect())
        };
        let ids = lists::entries("--event-id", &args.event_id)?;
        let filter = EventFilter {
            channels: globs("--channel", &args.channel)?,
            computers: globs("--computer", &args.computer)?,
            event_ids: ids.iter().map(|entry| event_ids(&entry.text)).collect::<Result<_>>()?,
            from: None,
            to: None,
        };
        Ok(Events { filter, zone: when::zone(&args.time_zone)? })
    }

    /// In which time zone times are shown, if it is not UTC.
    pub fn shown_zone(&self) -> Option<&TimeZone> {
        Some(&self.zone).filter(|zone| **zone != TimeZone::UTC)
    }

    /// The filter with its times. If one is counted from the newest event, `hunt` looks for that in
    /// the evidence first.
    pub fn resolve(
        &self,
        args: &EventArgs,
        hunt: &Hunt<'_>,
        evidence: &dyn Fn() -> Walk,
        said: Said,
    ) -> Result<EventFilter> {
        let needs_newest = [args.from, args.to].into_iter().flatten().any(When::needs_newest);
        let mut newest = None;
        if needs_newest {
            let begun = Instant::now();
            newest = hunt
                .newest(evidence())
                .map_err(|error| anyhow!("{error}: try fewer with --threads"))?;
            match newest {
                Some(time) if said.verbose => say(&format!(
                    "Newest     event of {}, found in {:.2} s; --from and --to count from it",
                    format_file_time(time),
                    begun.elapsed().as_secs_f64()
                )),
                Some(_) => {}
                None if said.quiet => {}
                None => say_warning("no event says when it was: --from and --to leave out none"),
            }
        }
        let resolve = |option, when: Option<When>| {
            when.map_or(Ok(None), |when| when.resolve(option, &self.zone, newest))
        };
        let filter = EventFilter {
            from: resolve("--from", args.from)?,
            to: resolve("--to", args.to)?,
            ..self.filter.clone()
        };
        if let (Some(from), Some(to)) = (filter.from, filter.to)
            && from >= to
        {
            bail!(
                "--from {} is not before --to {}: no event can be in between",
                format_file_time(from),
                format_file_time(to)
            );
        }
        Ok(filter)
    }
}

/// `4624` or `4700-4799`.
fn event_ids(text: &str) -> Result<RangeInclusive<u32>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| text.trim().parse::<u32>().ok();
    number(first)
        .zip(number(last))
        .map(|(first, last)| first..=last)
        .filter(|ids| !ids.is_empty())
        .with_context(|| format!("--event-id {text}: no number or range: give 4624 or 4700-4799"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_numbers_and_ranges() {
        for (text, want) in
            [("1", Some(1..=1)), ("4700-4799", Some(4700..=4799)), ("1 - 2", Some(1..=2))]
        {
            assert_eq!(event_ids(text).ok(), want, "{text}");
        }
        for text in ["", "-", "1-", "-1", "2-1", "a", "1-2-3", "4294967296"] {
            assert!(event_ids(text).is_err(), "{text}");
        }
    }
}
