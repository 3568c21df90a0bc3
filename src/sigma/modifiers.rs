//! The modifiers of a field, `Field|contains|all`, read into a plan.
//!
//! A chain is checked once, left to right, and becomes a [`Plan`]: what kind of test the values
//! become, and how each text is changed on the way ([`super::values`] does that). A modifier that
//! is unknown, or that cannot follow what stands before it, refuses the rule and is named with its
//! column; ignoring it would change what the rule means.
//!
//! Accepted: `[windash|expand] → [wide|utf16*] → [base64|base64offset] →
//! [contains|startswith|endswith]`, where `contains`, `startswith` and `endswith` may also stand
//! before `windash` and `expand` (real rules have both orders, and they mean the same), and `all`,
//! `cased` and `neq` stand anywhere. `re`, `cidr`, comparisons, time parts, `exists` and `fieldref`
//! make the value something else than text, so they come first and allow few others.
//!
//! Source of facts: Sigma modifiers appendix 2.1.0; pySigma `modifiers.py` for the types that each
//! modifier takes.

use super::fault::{At, Fault, Note, WarningCode};
use super::lint::Code;
use super::rule::{Comparison, TextMatch, TimePart};

/// What the values of an item become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// Text patterns; without any text modifier also numbers, null and booleans.
    Text,
    /// `re`, with its flags.
    Regex(RegexFlags),
    /// `cidr`
    Cidr,
    /// `gt` and its like.
    Compare(Comparison),
    /// `hour` and its like, equal or compared.
    TimePart(TimePart, Option<Comparison>),
    /// `exists`
    Exists,
    /// `fieldref`
    FieldRef(TextMatch),
}

/// The flags of `re`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RegexFlags {
    /// `i`, `ignorecase`
    pub ignore_case: bool,
    /// `m`, `multiline`
    pub multi_line: bool,
    /// `s`, `dotall`
    pub dot_all: bool,
}

/// How text becomes bytes before `base64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// UTF-16 little endian (`wide`, `utf16le`).
    Utf16Le,
    /// UTF-16 big endian.
    Utf16Be,
    /// UTF-16 little endian behind a byte order mark.
    Utf16,
}

/// Which form of base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Base64 {
    /// `base64`: the value alone.
    Whole,
    /// `base64offset`: the value inside something longer, at each of three offsets.
    Offset,
}

/// What a chain of modifiers asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    /// What the values become.
    pub target: Target,
    /// Anything may stand before the value (`contains`, `endswith`).
    pub leading: bool,
    /// Anything may stand behind it (`contains`, `startswith`).
    pub trailing: bool,
    /// `windash`
    pub windash: bool,
    /// `expand`
    pub expand: bool,
    /// `wide`, `utf16…`
    pub encoding: Option<Encoding>,
    /// `base64`, `base64offset`
    pub base64: Option<Base64>,
    /// `cased`
    pub cased: bool,
    /// `all`
    pub all: bool,
    /// `neq`
    pub negated: bool,
}

impl Plan {
    fn new() -> Plan {
        Plan {
            target: Target::Text,
            leading: false,
            trailing: false,
            windash: false,
            expand: false,
            encoding: None,
            base64: None,
            cased: false,
            all: false,
            negated: false,
        }
    }

    /// Whether a modifier makes every value text: numbers then count as they were written.
    pub fn wants_text(&self) -> bool {
        self.changes_value() || self.cased
    }

    /// Whether a modifier changes the value, so that one that wants it unchanged cannot follow.
    fn changes_value(&self) -> bool {
        self.leading
            || self.trailing
            || self.windash
            || self.expand
            || self.encoding.is_some()
            || self.base64.is_some()
    }
}

/// Reads the modifiers of one key. `at` is the place of the first one; what is odd about them goes
/// to `notes`.
pub(super) fn plan(names: &[&str], at: At, notes: &mut Vec<Note>) -> Result<Plan, Fault> {
    let mut plan = Plan::new();
    let mut at = at;
    let mut encoding_at = at;
    for (position, name) in names.iter().enumerate() {
        let earlier = names.get(..position).unwrap_or_default();
        if earlier.iter().any(|e| canonical(e) == canonical(name)) {
            notes.push(Note {
                at,
                code: WarningCode::RepeatedModifier,
                text: format!("the modifier `{name}` stands twice and counts once"),
            });
        } else {
            if earlier.iter().any(|e| canonical(e) == "exists")
                || (*name == "exists" && position > 0)
            {
                return Err(Fault::new(at, "`exists` goes with no other modifier"));
            }
            add(&mut plan, name, at)?;
            if encoding(name).is_some() {
                encoding_at = at;
            }
        }
        at = at.right(name.chars().count() + 1);
    }
    if plan.encoding.is_some() && plan.base64.is_none() {
        notes.push(Note {
            at: encoding_at,
            code: WarningCode::BareWide,
            text: "UTF-16 bytes without `base64` or `base64offset` after them hardly occur in \
                   event text"
                .to_owned(),
        });
    }
    Ok(plan)
}

/// One name for modifiers that have two.
fn canonical(name: &str) -> &str {
    match name {
        "utf16le" => "wide",
        "ignorecase" => "i",
        "multiline" => "m",
        "dotall" => "s",
        "equalsfield" => "fieldref",
        name => name,
    }
}

/// Adds one modifier to the plan, or says why it cannot stand there.
fn add(plan: &mut Plan, name: &str, at: At) -> Result<(), Fault> {
    match name {
        "contains" => open(plan, name, TextMatch::Contains, at),
        "startswith" => open(plan, name, TextMatch::StartsWith, at),
        "endswith" => open(plan, name, TextMatch::EndsWith, at),
        "all" => {
            plan.all = true;
            Ok(())
        }
        "neq" => {
            plan.negated = true;
            Ok(())
        }
        "cased" => match plan.target {
            Target::Text | Target::FieldRef(_) => {
                plan.cased = true;
                Ok(())
            }
            other => Err(cannot_follow(name, other, at)),
        },
        "windash" | "expand" => prepare(plan, name, at),
        "i" | "ignorecase" | "m" | "multiline" | "s" | "dotall" => flag(plan, name, at),
        _ => match (encoding(name), target(name)) {
            (Some(encoding), _) => encode(plan, name, encoding, at),
            (_, Some(target)) => retarget(plan, name, target, at),
            _ if matches!(name, "base64" | "base64offset") => base64(plan, name, at),
            _ => Err(unknown(name, at)),
        },
    }
}

fn unknown(name: &str, at: At) -> Fault {
    let reason = match name {
        "min_length" | "regexes" | "allowlist" => {
            format!("the modifier `{name}` is Hayabusa's own and not supported")
        }
        "" => "an empty modifier: nothing stands behind `|`".to_owned(),
        _ => format!("unknown modifier `{name}`"),
    };
    Fault::new(at, reason).about(Code::UnknownModifier)
}

/// `contains`, `startswith`, `endswith`.
fn open(plan: &mut Plan, name: &str, how: TextMatch, at: At) -> Result<(), Fault> {
    match &mut plan.target {
        Target::Text => {
            plan.leading |= how != TextMatch::StartsWith;
            plan.trailing |= how != TextMatch::EndsWith;
            Ok(())
        }
        // A search is open at both ends already.
        Target::Regex(_) => Ok(()),
        Target::FieldRef(present @ TextMatch::Equals) => {
            *present = how;
            Ok(())
        }
        Target::FieldRef(_) => Err(Fault::new(at, format!("`{name}` after another of its kind"))),
        other => Err(cannot_follow(name, *other, at)),
    }
}

/// `windash`, `expand`: they change the text before everything else, and may be written behind
/// `contains` and its like.
fn prepare(plan: &mut Plan, name: &str, at: At) -> Result<(), Fault> {
    if plan.target != Target::Text {
        return Err(cannot_follow(name, plan.target, at));
    }
    if name == "windash" {
        plan.windash = true;
    } else if plan.encoding.is_some() || plan.base64.is_some() {
        return Err(Fault::new(at, "`expand` has to stand before the encoding of the value"));
    } else {
        plan.expand = true;
    }
    Ok(())
}

/// `wide` and its like.
fn encode(plan: &mut Plan, name: &str, encoding: Encoding, at: At) -> Result<(), Fault> {
    if plan.target != Target::Text {
        return Err(cannot_follow(name, plan.target, at));
    }
    let reason = if plan.leading || plan.trailing {
        format!("`{name}` has to stand before `contains`, `startswith` and `endswith`")
    } else if plan.base64.is_some() {
        format!("`{name}` has to stand before `base64` and `base64offset`")
    } else if plan.encoding.is_some() {
        format!("`{name}` after another encoding")
    } else {
        plan.encoding = Some(encoding);
        return Ok(());
    };
    Err(Fault::new(at, reason))
}

/// `base64`, `base64offset`.
fn base64(plan: &mut Plan, name: &str, at: At) -> Result<(), Fault> {
    if plan.target != Target::Text {
        return Err(cannot_follow(name, plan.target, at));
    }
    let reason = if plan.leading || plan.trailing {
        format!("`{name}` has to stand before `contains`, `startswith` and `endswith`")
    } else if plan.base64.is_some() {
        "`base64` and `base64offset` exclude each other".to_owned()
    } else {
        plan.base64 = Some(if name == "base64" { Base64::Whole } else { Base64::Offset });
        return Ok(());
    };
    Err(Fault::new(at, reason))
}

/// `i`, `m`, `s`.
fn flag(plan: &mut Plan, name: &str, at: At) -> Result<(), Fault> {
    let Target::Regex(flags) = &mut plan.target else {
        return Err(Fault::new(at, format!("`{name}` is a flag of `re` and has to follow it")));
    };
    match canonical(name) {
        "i" => flags.ignore_case = true,
        "m" => flags.multi_line = true,
        _ => flags.dot_all = true,
    }
    Ok(())
}

/// A modifier that makes the value something else than text.
fn retarget(plan: &mut Plan, name: &str, target: Target, at: At) -> Result<(), Fault> {
    plan.target = match (plan.target, target) {
        (Target::TimePart(part, None), Target::Compare(comparison)) => {
            Target::TimePart(part, Some(comparison))
        }
        (Target::Text, target) if !plan.changes_value() => target,
        (Target::Text, _) => {
            let reason = format!(
                "`{name}` needs the value as it is and cannot follow a modifier \
                                  that changes it"
            );
            return Err(Fault::new(at, reason));
        }
        (other, _) => return Err(cannot_follow(name, other, at)),
    };
    if plan.cased && !matches!(plan.target, Target::FieldRef(_)) {
        return Err(Fault::new(at, format!("`{name}` does not go with `cased`")));
    }
    Ok(())
}

fn cannot_follow(name: &str, target: Target, at: At) -> Fault {
    let before = match target {
        Target::Text => "a text modifier",
        Target::Regex(_) => "`re`",
        Target::Cidr => "`cidr`",
        Target::Compare(_) => "a comparison",
        Target::TimePart(..) => "a part of a time",
        Target::Exists => "`exists`",
        Target::FieldRef(_) => "`fieldref`",
    };
    Fault::new(at, format!("`{name}` does not go with {before}"))
}

fn encoding(name: &str) -> Option<Encoding> {
    Some(match name {
        "wide" | "utf16le" => Encoding::Utf16Le,
        "utf16be" => Encoding::Utf16Be,
        "utf16" => Encoding::Utf16,
        _ => return None,
    })
}

fn target(name: &str) -> Option<Target> {
    Some(match name {
        "re" => Target::Regex(RegexFlags::default()),
        "cidr" => Target::Cidr,
        "gt" => Target::Compare(Comparison::Greater),
        "gte" => Target::Compare(Comparison::GreaterOrEqual),
        "lt" => Target::Compare(Comparison::Less),
        "lte" => Target::Compare(Comparison::LessOrEqual),
        "minute" => Target::TimePart(TimePart::Minute, None),
        "hour" => Target::TimePart(TimePart::Hour, None),
        "day" => Target::TimePart(TimePart::Day, None),
        "week" => Target::TimePart(TimePart::Week, None),
        "month" => Target::TimePart(TimePart::Month, None),
        "year" => Target::TimePart(TimePart::Year, None),
        "exists" => Target::Exists,
        "fieldref" | "equalsfield" => Target::FieldRef(TextMatch::Equals),
        "endswithfield" => Target::FieldRef(TextMatch::EndsWith),
        _ => return None,
    })
}
