//! Times as they are typed: dates, times, and spans counted from now or from the newest event.

use anyhow::{Context as _, Result};
use harrier::hunt::{Ticks, first_tick, timestamp};
use jiff::{SignedDuration, Timestamp, civil, fmt::temporal::DateTimeParser, tz::TimeZone};
use std::time::Duration;

/// What a user may write.
const FORMS: &str = "give a date (2026-03-01), a time (2026-03-01T10:00, 2026-03-01T10:00Z), \
                     or a span before the newest event (-7d, -1d12h) or before now (now-12h)";

/// A time as typed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum When {
    /// With its offset from UTC.
    At(Timestamp),
    /// Without: in the time zone that was chosen.
    Civil(civil::DateTime),
    /// So long before the newest event of the evidence.
    BeforeNewest(SignedDuration),
    /// So long before now.
    BeforeNow(SignedDuration),
}

/// Reads a time.
pub fn parse(text: &str) -> Result<When, String> {
    let text = text.trim();
    if let Some(span) = text.strip_prefix('-') {
        return Ok(When::BeforeNewest(duration(span)?));
    }
    if text.eq_ignore_ascii_case("now") {
        return Ok(When::BeforeNow(SignedDuration::ZERO));
    }
    if let Some(span) = text.strip_prefix("now-") {
        return Ok(When::BeforeNow(duration(span)?));
    }
    if let Ok(time) = text.parse() {
        return Ok(When::At(time));
    }
    if let Ok(time) = text.parse() {
        return Ok(When::Civil(time));
    }
    Err(FORMS.to_owned())
}

/// `1d12h`: numbers with the units w, d, h, m and s.
fn duration(text: &str) -> Result<SignedDuration, String> {
    let mut seconds: Option<i64> = None;
    let mut number: Option<i64> = None;
    for c in text.chars() {
        if let Some(digit) = c.to_digit(10) {
            let so_far = number.unwrap_or(0).checked_mul(10);
            number = Some(so_far.and_then(|n| n.checked_add(digit.into())).ok_or(FORMS)?);
            continue;
        }
        let unit = match c {
            'w' => 604_800,
            'd' => 86_400,
            'h' => 3_600,
            'm' => 60,
            's' => 1,
            _ => return Err(FORMS.to_owned()),
        };
        let more = number.take().and_then(|n| n.checked_mul(unit)).ok_or(FORMS)?;
        seconds = Some(seconds.unwrap_or(0).checked_add(more).ok_or(FORMS)?);
    }
    match (seconds, number) {
        (Some(seconds), None) => Ok(SignedDuration::from_secs(seconds)),
        _ => Err(FORMS.to_owned()),
    }
}

/// A span of time: seconds, or numbers with units.
pub fn reach(text: &str) -> Result<Duration, String> {
    let seconds = text.trim().parse().ok().map(Duration::from_secs);
    let span = || duration(text.trim()).ok().and_then(|span| span.try_into().ok());
    seconds.or_else(span).ok_or_else(|| "give seconds (30) or a span (5m, 1h)".to_owned())
}

impl When {
    /// Whether the newest event has to be known.
    pub fn needs_newest(self) -> bool {
        matches!(self, When::BeforeNewest(_))
    }

    /// The first tick of this time; `None` if it is counted from the newest event and there is none.
    pub fn resolve(
        self,
        option: &str,
        zone: &TimeZone,
        newest: Option<Ticks>,
    ) -> Result<Option<Ticks>> {
        let too_far = || format!("{option}: that is before all time: give a shorter span");
        let time = match self {
            When::At(time) => time,
            When::Civil(time) => zone.to_timestamp(time).with_context(|| {
                format!("{option}: no such time in this time zone: give an offset")
            })?,
            When::BeforeNow(span) => Timestamp::now().checked_sub(span).with_context(too_far)?,
            When::BeforeNewest(span) => {
                let Some(newest) = newest.and_then(timestamp) else { return Ok(None) };
                newest.checked_sub(span).with_context(too_far)?
            }
        };
        Ok(Some(first_tick(time)))
    }
}

/// The time zone of this name: `UTC`, `local`, an offset, or a name of the IANA database.
pub fn zone(name: &str) -> Result<TimeZone> {
    if name.eq_ignore_ascii_case("local") {
        return TimeZone::try_system()
            .context("--time-zone local: this machine does not say where it is: give an offset");
    }
    if name.eq_ignore_ascii_case("z") {
        return Ok(TimeZone::UTC);
    }
    DateTimeParser::new().parse_time_zone(name).map_err(|_| {
        anyhow::anyhow!(
            "--time-zone {name}: no such time zone: give UTC, local, an offset such as +02:00, or \
             a name such as Europe/Berlin"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        let zone = zone("Europe/Berlin").unwrap();
        let newest = Some(first_tick("2026-03-08T12:00:00.1234567Z".parse().unwrap()));
        for (text, want) in [
            ("2026-03-01", "2026-02-28T23:00:00Z"),
            ("2026-07-01", "2026-06-30T22:00:00Z"),
            ("2026-03-01T10:00", "2026-03-01T09:00:00Z"),
            ("2026-03-01 10:00:00.5", "2026-03-01T09:00:00.5Z"),
            ("2026-03-01T10:00Z", "2026-03-01T10:00:00Z"),
            ("2026-03-01 10:00:00+05:30", "2026-03-01T04:30:00Z"),
            ("-7d", "2026-03-01T12:00:00.1234567Z"),
            ("-1d12h", "2026-03-07T00:00:00.1234567Z"),
            ("-90m", "2026-03-08T10:30:00.1234567Z"),
            ("-1w1s", "2026-03-01T11:59:59.1234567Z"),
            ("-0s", "2026-03-08T12:00:00.1234567Z"),
        ] {
            let got = parse(text).unwrap().resolve("--from", &zone, newest).unwrap().unwrap();
            assert_eq!(timestamp(got).unwrap(), want.parse().unwrap(), "{text}");
        }
        for text in
            ["", "-", "-7", "-7x", "-d", "7d", "now-", "now+1h", "yesterday", "2026-13-01", "-1d7"]
        {
            assert_eq!(parse(text), Err(FORMS.to_owned()), "{text:?}");
        }
        assert!(parse("-99999999999999999999d").is_err());
        assert!(parse("-9999999999999d").unwrap().resolve("--from", &zone, newest).is_err());
        assert_eq!(parse("-1d").unwrap().resolve("--from", &zone, None).unwrap(), None);
    }

    #[test]
    fn spans_are_seconds_or_have_units() {
        for (text, want) in [("0", 0), ("30", 30), ("45s", 45), ("5m", 300), ("1h30m", 5400)] {
            assert_eq!(reach(text), Ok(Duration::from_secs(want)), "{text}");
        }
        for text in ["", "-1", "m", "1x", "5m3", "now"] {
            assert!(reach(text).is_err(), "{text}");
        }
    }

    #[test]
    fn now_is_now() {
        let at =
            |text| parse(text).unwrap().resolve("--to", &TimeZone::UTC, None).unwrap().unwrap();
        let (before, now, hour) = (first_tick(Timestamp::now()), at("now"), at("now-1h"));
        assert!(now >= before);
        assert!((now - hour).abs_diff(36_000_000_000) < 600_000_000);
    }

    #[test]
    fn time_zones_have_names_and_offsets() {
        for name in ["UTC", "utc", "Z", "+02:00", "-0330", "Europe/Berlin", "America/New_York"] {
            assert!(zone(name).is_ok(), "{name}");
        }
        for name in ["", "Mars/Base", "25:00", "+99:00"] {
            assert!(zone(name).is_err(), "{name}");
        }
    }
}
