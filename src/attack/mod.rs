//! MITRE ATT&CK: what the tactics and techniques that rules name in their tags are called.
//!
//! A tag says `attack.t1685` or `attack.defense-impairment`; a reader wants the name, and which tactic
//! a technique serves. The table beside this file has all tactics, techniques and sub-techniques of
//! ATT&CK for Enterprise [`VERSION`]. Rule sets outlive versions of ATT&CK, so what older versions had
//! is in it too, with what became of it.
//!
//! Invariant: the table is read strictly; a test reads it, and says which tags of public rules it does
//! not know.
//!
//! Source of facts: MITRE ATT&CK, Enterprise matrix. (c) 2026 The MITRE Corporation. This work is
//! reproduced and distributed with the permission of The MITRE Corporation.

use std::collections::HashMap;

/// The version of ATT&CK whose names these are.
pub const VERSION: &str = "19";

/// What a tag of a rule names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named<'a> {
    /// A tactic.
    Tactic(Tactic<'a>),
    /// A technique or a sub-technique.
    Technique(Technique<'a>),
    /// Written like one of ATT&CK's, and no version of it that is known has it.
    Unknown(String),
}

/// What an adversary is after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tactic<'a> {
    /// As tags have it: `defense-impairment`.
    pub tag: &'a str,
    /// `TA0112`
    pub id: &'a str,
    /// `Defense Impairment`
    pub name: &'a str,
    /// Whether it is one of an older version.
    pub retired: bool,
}

/// How.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Technique<'a> {
    /// `T1003.001`
    pub id: &'a str,
    /// `OS Credential Dumping: LSASS Memory`
    pub name: String,
    /// The tactics that it serves, by their tags; of what is retired, those of what it became.
    pub tactics: Vec<&'a str>,
    /// What became of it, if it is in force no more: another technique, or nothing.
    pub retired: Option<Option<&'a str>>,
}

/// The table.
#[derive(Debug)]
pub struct Attack {
    /// Tactics in the order of the matrix.
    tactics: Vec<Row>,
    techniques: HashMap<String, Row>,
}

#[derive(Debug)]
struct Row {
    id: String,
    name: String,
    /// Of a tactic its number.
    tactics: Vec<String>,
    now: String,
}

/// What stands for nothing in the column `now`.
const NOTHING: &str = "-";

impl Attack {
    /// The table that is part of the program.
    ///
    /// # Panics
    /// If it is malformed; a test reads it.
    #[must_use]
    pub fn builtin() -> Attack {
        match Attack::read(include_str!("techniques.csv")) {
            Ok(attack) => attack,
            Err(error) => panic!("a table of the program is malformed: techniques.csv: {error}"),
        }
    }

    fn read(text: &str) -> Result<Attack, String> {
        let mut attack = Attack { tactics: Vec::new(), techniques: HashMap::new() };
        let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(text.as_bytes());
        let columns = ["id", "name", "tactics", "now"];
        if reader.headers().map_err(|error| error.to_string())?.iter().ne(columns) {
            return Err(format!("the columns are not {}", columns.join(",")));
        }
        for record in reader.records() {
            let row = row(&record.map_err(|error| error.to_string())?)?;
            if is_technique(&row.id) {
                if let Some(twice) = attack.techniques.insert(row.id.clone(), row) {
                    return Err(format!("{} comes twice", twice.id));
                }
            } else {
                attack.tactics.push(row);
            }
        }
        Ok(attack)
    }

    /// What a tag names, if it is one of ATT&CK's: `attack.` and a tactic or a technique. Groups and
    /// software have tags too and are none of these.
    #[must_use]
    pub fn tag(&self, tag: &str) -> Option<Named<'_>> {
        let name = tag.get(.."attack.".len()).filter(|p| p.eq_ignore_ascii_case("attack."))?;
        let name = tag.strip_prefix(name)?;
        if let Some(tactic) = self.tactic(&name.to_ascii_lowercase().replace('_', "-")) {
            return Some(Named::Tactic(tactic));
        }
        let id = name.to_ascii_uppercase();
        match self.technique(&id) {
            Some(technique) => Some(Named::Technique(technique)),
            None if is_technique(&id) => Some(Named::Unknown(id)),
            None => None,
        }
    }

    /// The tactic with this tag, without its `attack.`.
    #[must_use]
    pub fn tactic(&self, tag: &str) -> Option<Tactic<'_>> {
        self.tactics.iter().find(|row| row.id == tag).map(Row::tactic)
    }

    /// All tactics, in the order of the matrix, those of older versions last.
    pub fn tactics(&self) -> impl Iterator<Item = Tactic<'_>> {
        self.tactics.iter().map(Row::tactic)
    }

    /// The technique with this id.
    #[must_use]
    pub fn technique(&self, id: &str) -> Option<Technique<'_>> {
        let row = self.techniques.get(id)?;
        let parent = id.split_once('.').and_then(|(parent, _)| self.techniques.get(parent));
        let name = match parent {
            Some(parent) => format!("{}: {}", parent.name, row.name),
            None => row.name.clone(),
        };
        let retired = match row.now.as_str() {
            "" => None,
            NOTHING => Some(None),
            other => Some(Some(other)),
        };
        // What a technique became serves the tactics that count now.
        let in_force = match retired {
            Some(Some(now)) => self.techniques.get(now).unwrap_or(row),
            _ => row,
        };
        let tactics = in_force.tactics.iter().map(String::as_str).collect();
        Some(Technique { id: &row.id, name, tactics, retired })
    }
}

impl Row {
    fn tactic(&self) -> Tactic<'_> {
        let id = self.tactics.first().map_or("", String::as_str);
        Tactic { tag: &self.id, id, name: &self.name, retired: !self.now.is_empty() }
    }
}

/// Whether an id is written as those of techniques are: `T` and a digit.
fn is_technique(id: &str) -> bool {
    id.strip_prefix('T').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn row(record: &csv::StringRecord) -> Result<Row, String> {
    let cell = |at| record.get(at).unwrap_or("").to_owned();
    let (id, name, now) = (cell(0), cell(1), cell(3));
    if id.is_empty() || name.is_empty() {
        return Err(format!("{id:?} {name:?}: an id and a name are wanted"));
    }
    let tactics: Vec<String> = match cell(2) {
        none if none.is_empty() => Vec::new(),
        some => some.split(';').map(str::to_owned).collect(),
    };
    if tactics.is_empty() == now.is_empty() && is_technique(&id) {
        return Err(format!("{id}: either it has tactics, or something became of it"));
    }
    Ok(Row { id, name, tactics, now })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_together() {
        let attack = Attack::builtin();
        assert_eq!(attack.tactics().filter(|tactic| !tactic.retired).count(), 15);
        assert!(attack.techniques.len() > 850, "{}", attack.techniques.len());
        for row in attack.techniques.values() {
            for tactic in &row.tactics {
                assert!(attack.tactic(tactic).is_some_and(|t| !t.retired), "{} {tactic}", row.id);
            }
            if let Some((parent, number)) = row.id.split_once('.') {
                assert!(attack.techniques.contains_key(parent), "{}", row.id);
                assert_eq!(number.len(), 3, "{}", row.id);
            }
            let now = attack.techniques.get(&row.now);
            assert!(
                row.now.is_empty() || row.now == NOTHING || now.is_some_and(|n| n.now.is_empty())
            );
        }
    }

    #[test]
    fn tags_have_names() {
        let attack = Attack::builtin();
        let told = |tag: &str| match attack.tag(tag) {
            None => "-".to_owned(),
            Some(Named::Tactic(t)) => {
                format!("{} {}{}", t.id, t.name, if t.retired { "!" } else { "" })
            }
            Some(Named::Technique(t)) => {
                format!("{} {} [{}] {:?}", t.id, t.name, t.tactics.join(" "), t.retired)
            }
            Some(Named::Unknown(id)) => format!("? {id}"),
        };
        for (tag, want) in [
            ("attack.defense-impairment", "TA0112 Defense Impairment"),
            ("attack.defense_evasion", "TA0005 Defense Evasion!"),
            ("attack.Persistence", "TA0003 Persistence"),
            (
                "attack.t1003.001",
                "T1003.001 OS Credential Dumping: LSASS Memory [credential-access] None",
            ),
            ("ATTACK.T1685", "T1685 Disable or Modify Tools [defense-impairment] None"),
            (
                "attack.t1562.001",
                "T1562.001 Impair Defenses: Disable or Modify Tools [defense-impairment] \
                 Some(Some(\"T1685\"))",
            ),
            ("attack.t1064", "T1064 Scripting [] Some(None)"),
            ("attack.t9999", "? T9999"),
            ("attack.g0069", "-"),
            ("attack.s0002", "-"),
            ("attack", "-"),
            ("cve.2021-44228", "-"),
            ("", "-"),
            ("ättack.t1003", "-"),
        ] {
            assert_eq!(told(tag), want, "{tag}");
        }
    }

    #[test]
    fn the_table_is_read_strictly() {
        let read = |rows: &str| Attack::read(&format!("id,name,tactics,now\n{rows}")).map(|_| ());
        assert_eq!(read("T1,a,execution,\n"), Ok(()));
        for bad in ["T1,a,,\n", "T1,a,execution,T2\n", "T1,,x,\n", ",a,x,\n", "T1,a\n"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(read("T1,a,x,\nT1,b,x,\n").unwrap_err().contains("twice"));
        assert!(Attack::read("id,name\n").is_err());
    }
}
