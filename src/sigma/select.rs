//! Which of the documents that were loaded are evaluated, and which of their hits are reported.
//!
//! What is wanted is chosen by whoever asks; what it needs comes along: a rule that was left out is
//! evaluated nevertheless where a correlation that is wanted counts it. Such a rule is *quiet*: its
//! hits are counted and not reported. So are those of a rule that was wanted, while a correlation
//! that is evaluated refers to it and none of those that do says `generate: true`: Sigma lets a
//! correlation speak for its rules. If no such correlation is evaluated, because it was refused or
//! left out, the rule speaks for itself. The same holds for correlations that others refer to.
//!
//! A rule with an aggregation is never evaluated for itself, but with its correlation.

use super::correlation::{Correlation, Filter, FilterRules, Member};
use super::load::LoadedRules;
use super::rule::Rule;

/// What is evaluated, ready to be compiled.
#[derive(Debug, Default)]
pub struct Selection {
    /// The rules; quiet ones are only counted.
    pub rules: Vec<Rule>,
    /// The correlations, whose members are indexes into these lists.
    pub correlations: Vec<Correlation>,
    /// All filters.
    pub filters: Vec<Filter>,
    /// For each rule its index in [`LoadedRules::rules`].
    pub rule_places: Vec<usize>,
    /// For each correlation its index in [`LoadedRules::correlations`].
    pub correlation_places: Vec<usize>,
}

/// What is known of a rule or a correlation while selecting.
#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    wanted: bool,
    /// A correlation that is evaluated refers to it,
    counted: bool,
    /// and one of these lets it report.
    generated: bool,
}

impl Mark {
    fn kept(self) -> bool {
        self.wanted || self.counted
    }

    fn quiet(self) -> bool {
        !self.wanted || (self.counted && !self.generated)
    }
}

impl LoadedRules {
    /// Takes the rules and correlations for which `rules` and `correlations`, by index, say so, and
    /// what they need; where these say nothing, all are wanted.
    #[must_use]
    pub fn select(self, rules: &[bool], correlations: &[bool]) -> Selection {
        let wanted = |flags: &[bool], index| Mark {
            wanted: flags.get(index).copied().unwrap_or(true),
            ..Mark::default()
        };
        let mut of_rules: Vec<Mark> = (0..self.rules.len()).map(|n| wanted(rules, n)).collect();
        let mut of_correlations: Vec<Mark> =
            (0..self.correlations.len()).map(|n| wanted(correlations, n)).collect();
        for correlation in self.correlations.iter().filter(|c| c.aggregation) {
            for member in &correlation.members {
                if let Member::Rule(rule) = member
                    && let Some(mark) = of_rules.get_mut(*rule)
                {
                    mark.wanted = false;
                }
            }
        }
        // Members stand before what refers to them, so going backwards each is seen when it is known
        // whether it is kept.
        for (index, correlation) in self.correlations.iter().enumerate().rev() {
            if !of_correlations.get(index).is_some_and(|mark| mark.kept()) {
                continue;
            }
            for member in &correlation.members {
                let mark = match member {
                    Member::Rule(rule) => of_rules.get_mut(*rule),
                    Member::Correlation(inner) => of_correlations.get_mut(*inner),
                };
                if let Some(mark) = mark {
                    mark.counted = true;
                    mark.generated |= correlation.generate;
                }
            }
        }
        self.taken(&of_rules, &of_correlations)
    }

    /// Takes everything.
    #[must_use]
    pub fn select_all(self) -> Selection {
        self.select(&[], &[])
    }

    fn taken(self, of_rules: &[Mark], of_correlations: &[Mark]) -> Selection {
        let new_rules = new_indexes(of_rules);
        let new_correlations = new_indexes(of_correlations);
        let mut selection = Selection::default();
        for ((place, mut rule), mark) in self.rules.into_iter().enumerate().zip(of_rules) {
            if mark.kept() {
                rule.quiet = mark.quiet();
                selection.rules.push(rule);
                selection.rule_places.push(place);
            }
        }
        let renamed = |member: &Member| match member {
            Member::Rule(rule) => new_rules.get(*rule).copied().flatten().map(Member::Rule),
            Member::Correlation(inner) => {
                new_correlations.get(*inner).copied().flatten().map(Member::Correlation)
            }
        };
        let correlations = self.correlations.into_iter().enumerate().zip(of_correlations);
        for ((place, mut correlation), mark) in correlations {
            if mark.kept() {
                correlation.quiet = mark.quiet();
                correlation.members = correlation.members.iter().filter_map(renamed).collect();
                selection.correlations.push(correlation);
                selection.correlation_places.push(place);
            }
        }
        for mut filter in self.filters {
            if let FilterRules::These(rules) = &mut filter.rules {
                *rules = rules
                    .iter()
                    .filter_map(|rule| new_rules.get(*rule).copied().flatten())
                    .collect();
            }
            selection.filters.push(filter);
        }
        selection
    }
}

/// For each the index that it has among those that are kept.
fn new_indexes(marks: &[Mark]) -> Vec<Option<usize>> {
    let mut next = 0;
    let number = |mark: &Mark| {
        mark.kept().then(|| {
            next += 1;
            next - 1
        })
    };
    marks.iter().map(number).collect()
}

#[cfg(test)]
mod tests;
