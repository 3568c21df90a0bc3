//! The form of tags.
//!
//! Source of facts: Sigma's tags appendix 2.1.0; MITRE ATT&CK for the names of tactics.

/// The tactics of ATT&CK for enterprises as Sigma tags them, in the order of an attack. Version 19 of
/// ATT&CK divided defense evasion into stealth and defense impairment; rules have either.
pub const TACTICS: [&str; 16] = [
    "reconnaissance",
    "resource-development",
    "initial-access",
    "execution",
    "persistence",
    "privilege-escalation",
    "defense-evasion",
    "stealth",
    "defense-impairment",
    "credential-access",
    "discovery",
    "lateral-movement",
    "collection",
    "command-and-control",
    "exfiltration",
    "impact",
];

/// What is wrong with a tag.
pub(super) fn fault(tag: &str) -> Option<String> {
    let Some((namespace, name)) = tag.split_once('.') else {
        return Some(format!("the tag `{tag}` has no namespace"));
    };
    let right = match namespace {
        "attack" => is_attack(name),
        "car" => is_numbers(name, &[4, 2, 3]),
        "cve" => match name.split_once('-') {
            Some((year, number)) => is_digits(year, 4) && number.len() >= 4 && all_digits(number),
            None => false,
        },
        "d3fend" => name.starts_with("d3"),
        "detection" => matches!(name, "dfir" | "emerging-threats" | "threat-hunting"),
        "stp" => {
            let rest = name.strip_prefix(['1', '2', '3', '4', '5']);
            matches!(rest, Some("" | "a" | "k" | "u"))
        }
        "tlp" => matches!(name, "red" | "amber" | "amber+strict" | "green" | "clear" | "white"),
        _ => return Some(format!("`{namespace}` is no namespace of tags that Sigma knows")),
    };
    (!right).then(|| format!("the tag `{tag}` is not of the form of `{namespace}`"))
}

fn is_attack(name: &str) -> bool {
    let technique = |rest: &str| match rest.split_once('.') {
        Some((number, sub)) => is_digits(number, 4) && is_digits(sub, 3),
        None => is_digits(rest, 4),
    };
    TACTICS.contains(&name)
        || name.strip_prefix('t').is_some_and(technique)
        || name.strip_prefix(['g', 's', 'm']).is_some_and(|number| is_digits(number, 4))
        || name.strip_prefix("ds").is_some_and(|number| is_digits(number, 4))
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

fn is_digits(text: &str, count: usize) -> bool {
    text.len() == count && all_digits(text)
}

fn is_numbers(text: &str, counts: &[usize]) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    parts.len() == counts.len() && parts.iter().zip(counts).all(|(part, n)| is_digits(part, *n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for right in [
            "attack.t1059",
            "attack.t1059.001",
            "attack.execution",
            "attack.g0016",
            "attack.s0002",
            "car.2016-04-005",
            "cve.2021-44228",
            "d3fend.d3-pla",
            "detection.dfir",
            "stp.1u",
            "stp.5",
            "tlp.amber+strict",
        ] {
            assert_eq!(fault(right), None, "{right}");
        }
        for wrong in [
            "",
            "attack",
            "attack.",
            "attack.T1059",
            "attack.t105",
            "attack.t1059.1",
            "attack.excution",
            "attack.defense_evasion",
            "car.2016-4-5",
            "cve.2021.44228",
            "cve.2021-1",
            "detection.else",
            "stp.6",
            "stp.1x",
            "tlp.blue",
            "other.thing",
        ] {
            assert!(fault(wrong).is_some(), "{wrong}");
        }
    }
}
