//! Whether a rendered event is XML: a document of many must not be spoilt by one.
//!
//! The `evtx` crate writes names as they stand in the log. In a damaged record, and in one that was
//! left over and whose names have been overwritten, they need be none. What it writes is simple:
//! elements, attributes in double quotes, text with references; so that is all that is looked for, and
//! anything else is no XML here.
//!
//! Source: Extensible Markup Language (XML) 1.0, Fifth Edition, productions 4 and 4a (names), 39 to 44
//! (elements).

/// Whether a name may begin with this character.
fn begins_name(c: char) -> bool {
    matches!(c,
        ':' | '_' | 'A'..='Z' | 'a'..='z'
        | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{2ff}' | '\u{370}'..='\u{37d}'
        | '\u{37f}'..='\u{1fff}' | '\u{200c}'..='\u{200d}' | '\u{2070}'..='\u{218f}'
        | '\u{2c00}'..='\u{2fef}' | '\u{3001}'..='\u{d7ff}' | '\u{f900}'..='\u{fdcf}'
        | '\u{fdf0}'..='\u{fffd}' | '\u{10000}'..='\u{effff}')
}

/// Whether a name may go on with this character.
fn goes_on_name(c: char) -> bool {
    begins_name(c)
        || matches!(c,
            '-' | '.' | '0'..='9' | '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}'..='\u{2040}')
}

/// A name at the start of the text, and what follows it.
fn name(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c| !goes_on_name(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    name.starts_with(begins_name).then_some((name, rest))
}

/// Whether this is one element with all that is in it.
#[must_use]
pub fn is_element(text: &str) -> bool {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text.trim();
    while let Some(tag) = rest.strip_prefix('<') {
        let after = match tag.strip_prefix('/') {
            Some(end) => name(end).and_then(|(name, rest)| {
                (open.pop() == Some(name)).then(|| rest.strip_prefix('>')).flatten()
            }),
            None => start(tag, &mut open),
        };
        let Some(after) = after else { return false };
        if open.is_empty() {
            return after.is_empty();
        }
        let Some(next) = after.find('<') else { return false };
        let (between, next) = after.split_at(next);
        if !is_text(between) {
            return false;
        }
        rest = next;
    }
    false
}

/// What follows an element's start, which is opened unless it is empty.
fn start<'t>(tag: &'t str, open: &mut Vec<&'t str>) -> Option<&'t str> {
    let (element, mut rest) = name(tag)?;
    loop {
        let trimmed = rest.trim_start();
        if let Some(after) = trimmed.strip_prefix("/>") {
            return Some(after);
        }
        if let Some(after) = trimmed.strip_prefix('>') {
            open.push(element);
            return Some(after);
        }
        let (_, value) = name(trimmed).filter(|_| trimmed.len() < rest.len())?;
        let (value, after) = value.strip_prefix("=\"")?.split_once('"')?;
        if value.contains('<') || !is_text(value) {
            return None;
        }
        rest = after;
    }
}

/// Whether text has no characters that XML has not, and no references that are none.
fn is_text(text: &str) -> bool {
    let allowed = |c| !matches!(c, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}');
    let reference = |rest: &str| {
        let name = rest.split_once(';').map_or("", |(name, _)| name);
        match name.strip_prefix('#') {
            Some(number) => match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).is_ok(),
                None => number.parse::<u32>().is_ok(),
            },
            None => matches!(name, "amp" | "lt" | "gt" | "quot" | "apos"),
        }
    };
    // No byte of a longer character is one of these.
    let looks = |b: u8| b < 0x20 || b == b'&' || b == 0xef;
    !text.bytes().any(looks) || text.chars().all(allowed) && text.split('&').skip(1).all(reference)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_an_element_and_what_is_none() {
        for (text, want) in [
            ("<a/>", true),
            ("<a></a>\n", true),
            ("<a b=\"c\" d:e=\"&lt;\"><b>x &amp; y</b><c/> </a>", true),
            ("<Ünï-1.x>\u{1f600}é\t</Ünï-1.x>", true),
            ("<a>&#x41;&#65;</a>", true),
            ("", false),
            ("text", false),
            ("<a>", false),
            ("<a></b>", false),
            ("<a></a><b/>", false),
            ("<a><b></a></b>", false),
            ("<a b=\"c/>", false),
            ("<a b=c/>", false),
            ("<a b=\"1\"c=\"2\"/>", false),
            ("<on/Op></on/Op>", false),
            ("<1a/>", false),
            ("<a\u{ffff}/>", false),
            ("<a B\u{0}=\"\"/>", false),
            ("<a>&</a>", false),
            ("<a>&nbsp;</a>", false),
            ("<a>\u{1}</a>", false),
            ("<a>\u{fffe}</a>", false),
            ("<a b=\"<\"/>", false),
            ("< a/>", false),
            ("<a>x", false),
        ] {
            assert_eq!(is_element(text), want, "{text:?}");
        }
    }
}
