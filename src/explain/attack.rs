//! What a rule's tags say of ATT&CK: tactics, and techniques under the tactics that they serve.

use crate::attack::{Attack, Named, Technique};
use crate::report::explain::AttackRow;

/// Tactics in the order of the matrix with the rule's techniques, and the tags that are something else.
///
/// A technique stands under each tactic that the rule names and that it serves; under all that it serves
/// if the rule names none of them.
pub(super) fn coverage(attack: &Attack, tags: &[String]) -> (Vec<AttackRow>, Vec<String>) {
    let (mut tactics, mut techniques, mut unknown, mut others) =
        (Vec::new(), Vec::<Technique<'_>>::new(), Vec::new(), Vec::new());
    for tag in tags {
        match attack.tag(tag) {
            Some(Named::Tactic(tactic)) if !tactics.contains(&tactic.tag) => {
                tactics.push(tactic.tag);
            }
            Some(Named::Technique(technique)) if !techniques.contains(&technique) => {
                techniques.push(technique);
            }
            Some(Named::Unknown(id)) => unknown.push((id, "(not in this version)".to_owned())),
            Some(_) => {}
            None => others.push(tag.clone()),
        }
    }
    let mut rows: Vec<AttackRow> = attack
        .tactics()
        .filter_map(|tactic| {
            let tagged = tactics.contains(&tactic.tag);
            let serves = |technique: &&Technique<'_>| {
                let named = technique.tactics.iter().any(|of| tactics.contains(of));
                technique.tactics.contains(&tactic.tag) && (tagged || !named)
            };
            let mut of_tactic: Vec<_> = techniques.iter().filter(serves).map(named).collect();
            of_tactic.sort();
            let tactic_name = match tactic.retired {
                true => format!("{} (until version 18)", tactic.name),
                false => tactic.name.to_owned(),
            };
            (tagged || !of_tactic.is_empty()).then(|| AttackRow {
                tactic: Some((tactic.id.to_owned(), tactic_name)),
                tagged,
                techniques: of_tactic,
            })
        })
        .collect();
    let homeless = techniques.iter().filter(|technique| technique.tactics.is_empty()).map(named);
    let mut homeless: Vec<_> = homeless.chain(unknown).collect();
    if !homeless.is_empty() {
        homeless.sort();
        rows.push(AttackRow { tactic: None, tagged: false, techniques: homeless });
    }
    (rows, others)
}

fn named(technique: &Technique<'_>) -> (String, String) {
    let name = match technique.retired {
        None => technique.name.clone(),
        Some(Some(now)) => format!("{} (now {now})", technique.name),
        Some(None) => format!("{} (no more in this version)", technique.name),
    };
    (technique.id.to_owned(), name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn techniques_stand_under_the_tactics_that_are_named() {
        let attack = Attack::builtin();
        let told = |tags: &[&str]| -> Vec<String> {
            let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
            let (rows, others) = coverage(&attack, &tags);
            let row = |row: AttackRow| {
                let tactic = row.tactic.map_or("?".to_owned(), |(_, name)| name);
                let techniques: Vec<String> =
                    row.techniques.into_iter().map(|(id, _)| id).collect();
                format!("{tactic}{}: {}", if row.tagged { "" } else { "~" }, techniques.join(" "))
            };
            rows.into_iter().map(row).chain(others).collect()
        };
        for (tags, want) in [
            (&["attack.persistence"][..], &["Persistence: "][..]),
            (&["attack.t1685", "attack.defense-impairment"], &["Defense Impairment: T1685"]),
            // Execution, Persistence, Privilege Escalation: one of them is named.
            (&["attack.t1053.005", "attack.execution"], &["Execution: T1053.005"]),
            (
                &["attack.t1053.005", "attack.discovery"],
                &[
                    "Execution~: T1053.005",
                    "Persistence~: T1053.005",
                    "Privilege Escalation~: T1053.005",
                    "Discovery: ",
                ],
            ),
            (&["attack.t1562.001"], &["Defense Impairment~: T1562.001"]),
            (
                &["attack.defense_evasion", "attack.t1036"],
                &["Stealth~: T1036", "Defense Evasion (until version 18): "],
            ),
            (&["attack.t9999", "attack.t1064"], &["?~: T1064 T9999"]),
            (&["attack.g0016", "cve.2021-1"], &["attack.g0016", "cve.2021-1"]),
            (&[], &[]),
        ] {
            assert_eq!(told(tags), want, "{tags:?}");
        }
    }
}
