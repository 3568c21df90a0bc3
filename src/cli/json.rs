//! JSON of the commands that are not hunts: a value on each line, safe to be looked at.

use harrier::report::escape;
use serde_json::Value;

/// A value on a line of its own. What could make a terminal or a reader see something else than what
/// stands there is written as JSON's escapes, as in the lines of hits.
pub fn line(value: &Value) -> String {
    let mut text = safe(&value.to_string());
    text.push('\n');
    text
}

/// JSON text with its unsafe characters escaped. Outside of strings JSON has none of them.
pub fn safe(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        if c > '\x7e' && escape::is_unsafe(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                safe.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            safe.push(c);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_characters_are_escaped_and_stay_what_they_are() {
        let value = serde_json::json!({"a\u{202e}": "b\u{7f}\u{9b}\u{feff}é\u{1f600}\n\u{e0001}"});
        let line = line(&value);
        let is_clean = |c: char| c == '\n' || !escape::is_unsafe(c);
        assert!(line.chars().all(is_clean), "{line}");
        assert!(line.ends_with("}\n") && line.contains("é\u{1f600}"), "{line}");
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), value);
    }
}
