//! Which of the rules that were loaded are wanted.
//!
//! A rule that is not wanted is never compiled; the ledger says which option left it out. A name that
//! no rule has is most often a slip of the pen, and a hunt without the rule that was meant would look
//! like one that found nothing: so that is an error, which names what comes near. Lists in files are
//! kept for many rule sets; of theirs it is enough that some are known.

use super::args::{LevelArg, RuleArgs, StatusArg};
use super::lists;
use anyhow::{Result, bail};
use harrier::{
    hunt::Glob,
    sigma::{About, Level, LoadedRules, Member, RefusalKind, Status},
};
use std::collections::BTreeSet;

/// So many names that come near are named.
const NEAR_SHOWN: usize = 3;
/// So many names of a file that no rule has are named.
const UNMET_SHOWN: usize = 3;

/// See the module.
pub struct RuleFilter {
    least: Option<Level>,
    levels: Vec<Level>,
    statuses: Vec<Status>,
    deprecated: bool,
    unsupported: bool,
    tags: Vec<Named>,
    ids: Vec<Named>,
    excluded: Vec<Named>,
}

/// A pattern for rules.
struct Named {
    glob: Glob,
    from_file: bool,
}

fn named(option: &str, values: &[String]) -> Result<Vec<Named>> {
    let entries = lists::entries(option, values)?.into_iter();
    Ok(entries
        .map(|entry| Named { glob: Glob::new(&entry.text), from_file: entry.from_file })
        .collect())
}

impl RuleFilter {
    /// Reads the arguments.
    pub fn build(args: &RuleArgs) -> Result<RuleFilter> {
        let statuses: Vec<Status> = args.status.iter().copied().map(StatusArg::into).collect();
        Ok(RuleFilter {
            least: args.min_level.map(Level::from),
            levels: args.level.iter().copied().map(LevelArg::into).collect(),
            deprecated: args.include_deprecated || statuses.contains(&Status::Deprecated),
            unsupported: args.include_unsupported || statuses.contains(&Status::Unsupported),
            statuses,
            tags: named("--tag", &args.tag)?,
            ids: named("--rule-id", &args.rule_id)?,
            excluded: named("--exclude-rule", &args.exclude_rule)?,
        })
    }

    /// Whether rules that are not in use any more are to be loaded at all.
    pub fn includes_inactive(&self) -> bool {
        self.deprecated || self.unsupported
    }

    /// Why rules and correlations are not wanted. What counts a rule of which the status is not wanted
    /// is not wanted either; all else that is left out is still counted for the others.
    pub fn unwanted(&self, loaded: &LoadedRules) -> Unwanted {
        let inactive: Vec<Option<String>> =
            loaded.rules.iter().map(|rule| self.inactive(rule)).collect();
        let mut stale: Vec<Option<String>> = Vec::with_capacity(loaded.correlations.len());
        for correlation in &loaded.correlations {
            let of_member = correlation.members.iter().find_map(|member| {
                let (why, title) = match member {
                    Member::Rule(rule) => {
                        (inactive.get(*rule), loaded.rules.get(*rule).map(|rule| &rule.title))
                    }
                    Member::Correlation(inner) => (
                        stale.get(*inner),
                        loaded.correlations.get(*inner).map(|inner| &inner.title),
                    ),
                };
                let why = why?.as_ref()?;
                Some(format!("it refers to \"{}\": {why}", title.map_or("", String::as_str)))
            });
            stale.push(self.inactive(correlation).or(of_member));
        }
        let why =
            |(about, inactive): (&About, Option<String>)| inactive.or_else(|| self.left_out(about));
        let rules = loaded.rules.iter().map(|rule| &rule.about).zip(inactive);
        let correlations = loaded.correlations.iter().map(|c| &c.about).zip(stale);
        Unwanted { rules: rules.map(why).collect(), correlations: correlations.map(why).collect() }
    }

    /// Whether a rule is not in use any more, and such rules were not asked for.
    fn inactive(&self, rule: &About) -> Option<String> {
        match rule.status {
            Some(Status::Deprecated) if !self.deprecated => {
                Some("its status is deprecated".to_owned())
            }
            Some(Status::Unsupported) if !self.unsupported => {
                Some("its status is unsupported".to_owned())
            }
            _ => None,
        }
    }

    /// Why a rule is not wanted.
    pub fn left_out(&self, rule: &About) -> Option<String> {
        let wanted_status = |status| self.statuses.contains(&status);
        let has_id = |names: &[Named]| {
            let id = rule.id.as_deref().map(harrier::utf16::folded);
            id.is_some_and(|id| names.iter().any(|name| name.glob.is_match(&id)))
        };
        let has_tag = |name: &Named| rule.tags.iter().any(|tag| name.glob.is_match(tag));
        let filter = |why: &str| Some(why.to_owned());
        if let Some(least) = self.least.filter(|least| rule.level < *least) {
            Some(format!("its level is below {}", least.as_str()))
        } else if !self.levels.is_empty() && !self.levels.contains(&rule.level) {
            filter("--level does not name its level")
        } else if !self.statuses.is_empty() && !rule.status.is_some_and(wanted_status) {
            filter("--status does not name its status")
        } else if !self.tags.is_empty() && !self.tags.iter().any(has_tag) {
            filter("--tag names none of its tags")
        } else if !self.ids.is_empty() && !has_id(&self.ids) {
            filter("--rule-id does not name it")
        } else if has_id(&self.excluded) {
            filter("--exclude-rule names it")
        } else {
            None
        }
    }

    /// Fails if a tag or an id that is wanted is that of no rule, and gives warnings: of ids that are in
    /// a file, or are to be left out, and are of none.
    pub fn check(&self, loaded: &LoadedRules) -> Result<Warnings> {
        let rules = loaded.rules.iter().map(|rule| &rule.about);
        let rules = rules.chain(loaded.correlations.iter().map(|correlation| &correlation.about));
        let tags = rules.clone().flat_map(|rule| &rule.tags).map(String::as_str);
        let tags: BTreeSet<&str> = tags.collect();
        let ids = rules.filter_map(|rule| rule.id.as_deref());
        let refused = loaded.refused.iter().filter_map(|rule| rule.id.as_deref());
        let refused: BTreeSet<&str> = refused.collect();
        let ids: BTreeSet<&str> = ids.collect();
        for tag in &self.tags {
            if !meets(&tag.glob, &tags) {
                bail!("{}", unmet("--tag", "tag", &tag.glob, &tags));
            }
        }
        let mut unknown = Vec::new();
        for id in self.ids.iter().filter(|id| !meets(&id.glob, &ids)) {
            let of_refused = loaded
                .refused
                .iter()
                .find(|rule| rule.id.as_deref().is_some_and(|refused| id.glob.is_match(refused)));
            match of_refused {
                Some(rule) => {
                    let advice = match rule.kind {
                        RefusalKind::Status => {
                            ": add --include-deprecated or --include-unsupported"
                        }
                        RefusalKind::Placeholder => ": give them with --expand",
                        RefusalKind::Error | RefusalKind::NotSupported => "",
                    };
                    bail!(
                        "--rule-id {}: that rule was not loaded: {}{advice}",
                        id.glob.as_str(),
                        rule.reason
                    );
                }
                None if id.from_file => unknown.push(id.glob.as_str()),
                None => bail!("{}", unmet("--rule-id", "id", &id.glob, &ids)),
            }
        }
        if !self.ids.is_empty() && unknown.len() == self.ids.len() {
            bail!("--rule-id: none of the {} ids is that of a rule: check -r", unknown.len());
        }
        let mut warnings = Warnings::default();
        warnings.always.extend(of_no_rule("--rule-id", &unknown));
        let unknown = |id: &&Named| !meets(&id.glob, &ids) && !meets(&id.glob, &refused);
        let (from_file, typed): (Vec<&Named>, Vec<&Named>) =
            self.excluded.iter().filter(unknown).partition(|id| id.from_file);
        let typed = typed.into_iter().map(|id| unmet("--exclude-rule", "id", &id.glob, &ids));
        warnings.always.extend(typed);
        let names: Vec<&str> = from_file.iter().map(|id| id.glob.as_str()).collect();
        warnings.verbose.extend(of_no_rule("--exclude-rule", &names));
        Ok(warnings)
    }
}

/// Why each rule and each correlation is not wanted, by index.
pub struct Unwanted {
    pub rules: Vec<Option<String>>,
    pub correlations: Vec<Option<String>>,
}

/// Warnings, and those that only matter to somebody who wants to know all.
#[derive(Default)]
pub struct Warnings {
    pub always: Vec<String>,
    pub verbose: Vec<String>,
}

fn meets(pattern: &Glob, names: &BTreeSet<&str>) -> bool {
    names.iter().any(|name| pattern.is_match(name))
}

/// What is to be said of names of a file that no rule has.
fn of_no_rule(option: &str, names: &[&str]) -> Option<String> {
    let shown = names.get(..names.len().min(UNMET_SHOWN)).filter(|shown| !shown.is_empty())?;
    let more = if names.len() > shown.len() { ", …" } else { "" };
    let of = if names.len() == 1 { "1 id is" } else { &format!("{} ids are", names.len()) };
    Some(format!("{option}: {of} of no rule: {}{more}", shown.join(", ")))
}

/// Says that no rule has this tag or id, and which come near.
fn unmet(option: &str, what: &str, pattern: &Glob, names: &BTreeSet<&str>) -> String {
    let typed = pattern.as_str();
    let near = near(typed, names);
    let near = match near.as_slice() {
        [] => format!("none has any {what}: check -r"),
        near => format!("near: {}", near.join(", ")),
    };
    format!("{option} {typed}: no rule has this {what}: {near}")
}

/// The names that are nearest to what was typed, by how many characters differ.
pub fn near<'a>(typed: &str, names: &BTreeSet<&'a str>) -> Vec<&'a str> {
    let typed: Vec<char> = harrier::utf16::folded(typed).replace(['*', '?'], "").chars().collect();
    let mut ranked: Vec<(usize, &str)> =
        names.iter().map(|name| (distance(&typed, name), *name)).collect();
    ranked.sort_unstable();
    ranked.into_iter().take(NEAR_SHOWN).map(|(_, name)| name).collect()
}

/// How many characters have to be put in, taken away or changed.
fn distance(typed: &[char], name: &str) -> usize {
    let mut row: Vec<usize> = (0..=typed.len()).collect();
    for (n, c) in harrier::utf16::folded(name).chars().enumerate() {
        let mut diagonal = n;
        let mut left = n + 1;
        for (t, above) in typed.iter().zip(row.iter_mut().skip(1)) {
            let change = diagonal + usize::from(*t != c);
            diagonal = *above;
            left = change.min(left + 1).min(*above + 1);
            *above = left;
        }
        if let Some(first) = row.first_mut() {
            *first = n + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_names_are_named() {
        let names = BTreeSet::from([
            "attack.execution",
            "attack.t1059",
            "attack.t1059.001",
            "attack.t1562.001",
            "attack.t1562.002",
            "cve.2021-44228",
        ]);
        for (typed, want) in [
            ("attack.excution", "attack.execution"),
            ("t1059", "attack.t1059"),
            ("attack.t1563.001*", "attack.t1562.001"),
            ("CVE.2021-44229", "cve.2021-44228"),
        ] {
            assert_eq!(near(typed, &names)[0], want, "{typed}");
        }
        assert!(near("x", &BTreeSet::new()).is_empty());
    }

    #[test]
    fn the_distance_counts_changes() {
        for (a, b, want) in [
            ("", "", 0),
            ("abc", "abc", 0),
            ("abc", "ABC", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("ab", "ba", 2),
        ] {
            assert_eq!(distance(&a.chars().collect::<Vec<_>>(), b), want, "{a} {b}");
        }
    }
}
