//! The time of events: System/TimeCreated, in the unit in which logs keep it.
//!
//! A [`Ticks`] is a FILETIME, 100 ns since 1601-01-01 UTC. The time in a record's header is another
//! one: when the record was written, which in a collector's log of forwarded events can be days after
//! the event. It is asked for when a log's records were written alone ([`written`]).

use crate::event::{Event, Value};
use crate::evtx::Record;
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};

/// 100 ns since 1601-01-01 UTC.
pub type Ticks = u64;

const TICKS_A_SECOND: i128 = 10_000_000;
/// Seconds from 1601-01-01 to 1970-01-01.
const TO_UNIX: i128 = 11_644_473_600;
/// A FILETIME beyond this is no time (Windows shows zeros).
const LAST: Ticks = i64::MAX as u64;

/// When an event was, if it says so in a form that can be read: a FILETIME as Windows writes it, or a
/// text of RFC 3339, as the slow lane and converted logs have it.
pub(crate) fn event_time<E: Event>(event: &E) -> Option<Ticks> {
    let leaf = event.layout().system().time?;
    let mut time = None;
    let mut first = true;
    event.values(leaf, |value| {
        if first {
            time = value_time(value);
            first = false;
        }
    });
    time
}

/// When a record was written. Some logs that were exported have zeros there, and then the event's own
/// time has to do.
pub(super) fn written(record: &Record<'_>) -> Ticks {
    match record.header_time() {
        0 => event_time(record).unwrap_or(0),
        time => time,
    }
}

fn value_time(value: Value<'_>) -> Option<Ticks> {
    match value {
        Value::FileTime(ticks) => (ticks <= LAST).then_some(ticks),
        other => other.to_text().parse::<Timestamp>().ok().and_then(to_ticks),
    }
}

fn to_ticks(time: Timestamp) -> Option<Ticks> {
    let ticks = (time.as_nanosecond() + TO_UNIX * 1_000_000_000).div_euclid(100);
    Ticks::try_from(ticks).ok()
}

/// The first tick that is not before `time`: what is at or after `time` is at or after it, and what is
/// before `time` is before it. Times outside of what a FILETIME can be are its first or last.
#[must_use]
pub fn first_tick(time: Timestamp) -> Ticks {
    let nanoseconds = time.as_nanosecond() + TO_UNIX * 1_000_000_000;
    let ticks = nanoseconds.div_euclid(100) + i128::from(nanoseconds.rem_euclid(100) > 0);
    Ticks::try_from(ticks.max(0)).unwrap_or(LAST).min(LAST)
}

/// The time of a tick; nothing beyond the year 9999.
#[must_use]
pub fn timestamp(ticks: Ticks) -> Option<Timestamp> {
    let ticks = i128::from(ticks) - TO_UNIX * TICKS_A_SECOND;
    let second = i64::try_from(ticks.div_euclid(TICKS_A_SECOND)).ok()?;
    let nanosecond = i64::try_from(ticks.rem_euclid(TICKS_A_SECOND)).ok()? * 100;
    Timestamp::from_second(second).ok()?.checked_add(nanosecond.nanoseconds()).ok()
}

/// The text of a tick in a time zone, `2025-10-26 02:11:12.8808340+02:00`; nothing beyond the year
/// 9999.
pub(crate) fn local_text(ticks: Ticks, zone: &TimeZone) -> Option<String> {
    let time = timestamp(ticks)?.to_zoned(zone.clone());
    let fraction = ticks % 10_000_000;
    // An offset of seconds, which some zones had before there were any, is cut to minutes.
    let offset = time.offset().seconds() / 60;
    let sign = if offset < 0 { '-' } else { '+' };
    let (hours, minutes) = (offset.abs() / 60, offset.abs() % 60);
    let clock = time.strftime("%Y-%m-%d %H:%M:%S");
    Some(format!("{clock}.{fraction:07}{sign}{hours:02}:{minutes:02}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ticks_are_the_times_that_logs_mean() {
        for (ticks, text) in [
            (0, "1601-01-01T00:00:00Z"),
            (116_444_736_000_000_000, "1970-01-01T00:00:00Z"),
            (134_059_110_728_808_340, "2025-10-26T00:11:12.880834Z"),
        ] {
            let time: Timestamp = text.parse().unwrap();
            assert_eq!(timestamp(ticks), Some(time));
            assert_eq!(first_tick(time), ticks);
            assert_eq!(value_time(Value::FileTime(ticks)), Some(ticks));
            assert_eq!(value_time(Value::Text(text)), Some(ticks));
        }
        assert_eq!(timestamp(u64::MAX), None);
        assert_eq!(value_time(Value::FileTime(u64::MAX)), None);
        for text in ["", "yesterday", "2025-10-26", "2025-10-26T00:11:12", "0000-00-00T00:00:00Z"] {
            assert_eq!(value_time(Value::Text(text)), None, "{text}");
        }
    }

    #[test]
    fn local_texts_have_their_offset() {
        let zone = |name| TimeZone::get(name).unwrap();
        for (name, time, want) in [
            ("UTC", "2025-10-26T00:11:12.880834Z", "2025-10-26 00:11:12.8808340+00:00"),
            ("Europe/Berlin", "2025-10-26T00:11:12Z", "2025-10-26 02:11:12.0000000+02:00"),
            ("Europe/Berlin", "2025-10-26T01:11:12Z", "2025-10-26 02:11:12.0000000+01:00"),
            ("America/St_Johns", "2025-01-01T00:00:00Z", "2024-12-31 20:30:00.0000000-03:30"),
        ] {
            let ticks = first_tick(time.parse().unwrap());
            assert_eq!(local_text(ticks, &zone(name)).unwrap(), want);
        }
        assert_eq!(local_text(u64::MAX, &TimeZone::UTC), None);
    }

    #[test]
    fn a_bound_between_ticks_is_the_next_one() {
        let at = |text: &str| first_tick(text.parse().unwrap());
        let whole = at("2026-03-01T00:00:00.1234567Z");
        assert_eq!(at("2026-03-01T00:00:00.123456701Z"), whole + 1);
        assert_eq!(at("2026-03-01T00:00:00.123456799Z"), whole + 1);
        assert_eq!(at("-000001-01-01T00:00:00Z"), 0);
        assert_eq!(at("9999-12-30T00:00:00Z"), 2_650_466_016_000_000_000);
    }

    proptest! {
        #[test]
        fn a_time_comes_back(ticks in 0u64..2_650_466_807_999_999_999) {
            let time = timestamp(ticks).unwrap();
            prop_assert_eq!(first_tick(time), ticks);
            prop_assert_eq!(value_time(Value::Text(&Value::FileTime(ticks).to_text())), Some(ticks));
        }
    }
}
