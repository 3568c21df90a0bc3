//! Times as other formats want them.

/// Microseconds since 1970-01-01 UTC of an event's time as text; nothing if the text is no time.
pub(super) fn micros(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_microsecond)
}
