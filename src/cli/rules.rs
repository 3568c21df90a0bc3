//! From the arguments about rules to a compiled rule set and its part of the ledger.

use super::args::RuleArgs;
use super::rule_filter::{RuleFilter, Warnings};
use super::taxonomy::{self, Doubt};
use super::{correlations, expand, say_error, say_warning, sight};
use anyhow::{Result, bail};
use harrier::{
    engine::{Applicability, RuleSet},
    ledger::{FilterEntry, Ledger, RuleEntry, RuleState, reasons, tactics},
    sigma::{
        self, About, Filter, LoadOptions, LoadedRules, LogSource, Member, RefusalKind, Rule,
        RuleRoot, WarningCode,
    },
    taxonomy::Taxonomy,
};
use std::collections::BTreeSet;

/// So many refused rules are named on standard error; the ledger names all.
pub const REFUSALS_SHOWN: usize = 10;

/// So many placeholders without a list are named; `-v` names all.
const LISTS_SHOWN: usize = 5;

/// What a document of a rule set is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentKind {
    /// A detection rule.
    Rule,
    /// A correlation.
    Correlation,
    /// A filter.
    Filter,
}

impl DocumentKind {
    /// The word that Sigma uses.
    pub fn as_str(self) -> &'static str {
        match self {
            DocumentKind::Rule => "rule",
            DocumentKind::Correlation => "correlation",
            DocumentKind::Filter => "filter",
        }
    }
}

/// A rule, correlation or filter that is not left out.
pub struct Document {
    /// What it is.
    pub kind: DocumentKind,
    /// What it says about itself.
    pub about: About,
    /// Its log source; correlations have none.
    pub logsource: Option<LogSource>,
    /// Whether a rule can match anything; correlations and filters depend on the rules they are for.
    pub applicability: Option<Applicability>,
}

/// The rules of a run.
pub struct Rules {
    /// Compiled.
    pub set: RuleSet,
    /// What became of each rule that was found.
    pub entries: Vec<RuleEntry>,
    /// What is not left out, if it is to be listed.
    pub documents: Vec<Document>,
    /// For each rule of `set`, by index, its place in `entries`, and the same for correlations.
    places: Vec<usize>,
    correlation_places: Vec<usize>,
    /// Oddities of loaded rules.
    pub warnings: Vec<String>,
    /// Oddities of filters: these decide what is seen.
    of_filters: Vec<String>,
    /// Warnings of rules whose log source is not known.
    unknown: Vec<String>,
    /// Warnings of ids that no rule has.
    unmet: Warnings,
    /// Lists that were given and that no rule asks for.
    idle_lists: Vec<String>,
    /// YAML documents that are no rules.
    pub not_rules: usize,
    /// What of the files of log sources was not understood.
    doubts: Vec<Doubt>,
    /// Where they come from, with digests, if these were wanted.
    pub roots: Vec<RuleRoot>,
}

impl Rules {
    /// Loads and compiles.
    pub fn load(args: &RuleArgs) -> Result<Rules> {
        Rules::load_for(args, false, false)
    }

    /// The same, and digests the files if that is wanted.
    pub fn load_digested(args: &RuleArgs, digest: bool) -> Result<Rules> {
        Rules::load_for(args, false, digest)
    }

    /// The same, with all documents that are not left out.
    pub fn load_to_list(args: &RuleArgs) -> Result<Rules> {
        Rules::load_for(args, true, false)
    }

    fn load_for(args: &RuleArgs, to_list: bool, digest: bool) -> Result<Rules> {
        let filter = RuleFilter::build(args)?;
        let (taxonomy, doubts) = taxonomy::read(args)?;
        let lists = expand::read(&args.expand, &args.expand_dir)?;
        let options = LoadOptions {
            expand: lists.values,
            include_inactive: filter.includes_inactive(),
            digest,
            ..LoadOptions::default()
        };
        let mut loaded = if args.rules.is_empty() {
            sigma::load_builtin_with(&LoadOptions { digest, ..LoadOptions::default() })
        } else {
            sigma::load(&args.rules, &options)
                .map_err(|error| anyhow::anyhow!("rules: {error}: check the path"))?
        };
        add_filters(args, &mut loaded, options)?;
        let unmet = filter.check(&loaded)?;
        let used = loaded.lists_used.clone();
        let roots = std::mem::take(&mut loaded.roots);
        let documents = if to_list { documents(&loaded, &filter, &taxonomy) } else { Vec::new() };
        let mut rules = Rules { documents, ..Rules::compile(loaded, &filter, taxonomy) };
        (rules.unmet, rules.doubts, rules.roots) = (unmet, doubts, roots);
        rules.idle_lists = lists.typed.difference(&used).cloned().collect();
        Ok(rules)
    }

    fn compile(loaded: LoadedRules, filter: &RuleFilter, taxonomy: Taxonomy) -> Rules {
        let refused = loaded.refused.iter().map(refused);
        let unreadable = loaded.unreadable.iter().map(unreadable);
        let not_loaded: Vec<RuleEntry> = refused.chain(unreadable).collect();
        let (of_filters, warnings): (Vec<_>, Vec<_>) =
            loaded.warnings.iter().partition(|warning| is_of_filters(warning.code));
        let of_filters = of_filters.into_iter().map(ToString::to_string).collect();
        let warnings = warnings.into_iter().map(ToString::to_string).collect();
        let not_rules = loaded.not_rules.len();
        let mut entries = Vec::new();
        // A rule with an aggregation and the correlation that it became are one rule to the user.
        let unwanted = filter.unwanted(&loaded);
        let mut of_rules = Vec::with_capacity(loaded.rules.len());
        for (rule, why) in loaded.rules.iter().zip(&unwanted.rules) {
            of_rules.push(entries.len());
            let about = rule.logsource.category.as_ref().or(rule.logsource.service.as_ref());
            entries.push(entry(rule, about.cloned(), why.clone()));
        }
        let mut of_correlations = Vec::with_capacity(loaded.correlations.len());
        for (correlation, why) in loaded.correlations.iter().zip(&unwanted.correlations) {
            of_correlations.push(match correlation.members.as_slice() {
                [Member::Rule(rule)] if correlation.aggregation => of_rules[*rule],
                _ => {
                    let about = Some("correlation".to_owned());
                    entries.push(entry(correlation, about, why.clone()));
                    entries.len() - 1
                }
            });
        }
        let wanted = |why: &[Option<String>]| why.iter().map(Option::is_none).collect::<Vec<_>>();
        let selection = loaded.select(&wanted(&unwanted.rules), &wanted(&unwanted.correlations));
        let places: Vec<usize> = selection.rule_places.iter().map(|n| of_rules[*n]).collect();
        let correlation_places: Vec<usize> =
            selection.correlation_places.iter().map(|n| of_correlations[*n]).collect();
        let set = RuleSet::compile_filtered(selection.rules, selection.filters, taxonomy)
            .with_correlations(selection.correlations);
        let mut unknown = Vec::new();
        for ((id, rule), place) in set.rules().zip(&places) {
            let reason = match set.applicability(id) {
                Applicability::Applicable => continue,
                Applicability::NotApplicable(reason) => reason,
                Applicability::UnknownLogSource(reason) => {
                    unknown.push(format!("{}: {reason}: the rule can hit nothing", rule.origin));
                    reason
                }
            };
            entries[*place].state = RuleState::NotApplicable;
            entries[*place].reason = Some(reason.clone());
        }
        correlations::note_inapplicable(&set, &correlation_places, &mut entries);
        entries.extend(not_loaded);
        Rules {
            set,
            entries,
            documents: Vec::new(),
            places,
            correlation_places,
            warnings,
            of_filters,
            unknown,
            unmet: Warnings::default(),
            idle_lists: Vec::new(),
            not_rules,
            doubts: Vec::new(),
            roots: Vec::new(),
        }
    }

    /// Names the log sources and rules that could not be taken, up to so many rules.
    pub fn tell_errors(&self, shown: usize) {
        self.doubts.iter().filter(|doubt| doubt.lost).for_each(Doubt::say);
        let refused = || self.entries.iter().filter(|entry| entry.state == RuleState::Refused);
        for entry in refused().take(shown) {
            let reason = entry.reason.as_deref().unwrap_or("not understood");
            say_error(&format!("{}: rule not loaded: {reason}", entry.origin));
        }
        let more = refused().count().saturating_sub(shown);
        if more > 0 {
            say_error(&format!("{more} more rules not loaded: -v or --ledger names them"));
        }
    }

    /// Names what of the log sources is not known, and rules of unknown log sources, up to so many.
    pub fn tell_log_sources(&self, shown: usize) {
        self.doubts.iter().filter(|doubt| !doubt.lost).for_each(Doubt::say);
        self.unknown.iter().take(shown).for_each(|warning| say_warning(warning));
        let more = self.unknown.len().saturating_sub(shown);
        if more > 0 {
            say_warning(&format!("{more} more rules with log sources of which nothing is known"));
        }
    }

    /// Whether [`Rules::tell_log_sources`] tells of the rules that are not applicable for this reason.
    pub fn is_told(&self, reason: &str) -> bool {
        self.unknown.iter().any(|warning| warning.contains(reason))
    }

    /// How many rules are in this bin.
    pub fn count(&self, state: RuleState) -> usize {
        self.entries.iter().filter(|entry| entry.state == state).count()
    }

    /// Tells what is amiss with the rules.
    pub fn tell(&self, verbose: bool, quiet: bool) {
        let shown = if verbose { usize::MAX } else { REFUSALS_SHOWN };
        self.tell_errors(shown);
        if !quiet {
            self.warn(verbose, shown);
        }
    }

    /// Tells what is amiss with the rules, and fails if there is none to hunt with.
    pub fn report(&self, verbose: bool, quiet: bool) -> Result<()> {
        self.tell(verbose, quiet);
        if self.count(RuleState::Loaded) > 0 {
            return Ok(());
        }
        if self.entries.is_empty() {
            bail!("there are no rules: name Sigma rules (.yml) with -r, or leave -r out");
        }
        let left_out = reasons(&self.entries, RuleState::LeftOut);
        let left_out: Vec<String> =
            left_out.into_iter().map(|(reason, rules)| format!("{rules}: {reason}")).collect();
        let why = match left_out.as_slice() {
            [] => String::new(),
            why => format!(" ({})", why.join("; ")),
        };
        bail!(
            "there are no rules left: {} not loaded, {} left out{why}, {} not applicable to event \
             logs: check -r and what leaves rules out",
            self.count(RuleState::Refused),
            self.count(RuleState::LeftOut),
            self.count(RuleState::NotApplicable)
        );
    }

    /// Names what is odd, and what is missing.
    fn warn(&self, verbose: bool, shown: usize) {
        self.tell_log_sources(shown);
        if let Some(warning) = missing_lists(&self.entries, verbose) {
            say_warning(&warning);
        }
        self.unmet.always.iter().for_each(|warning| say_warning(warning));
        self.of_filters.iter().take(shown).for_each(|warning| say_warning(warning));
        let more = self.of_filters.len().saturating_sub(shown);
        if more > 0 {
            say_warning(&format!("{more} more warnings of filters: -v shows them"));
        }
        for name in &self.idle_lists {
            say_warning(&format!("--expand {name}: no rule has a placeholder %{name}%"));
        }
        if verbose {
            self.unmet.verbose.iter().for_each(|warning| say_warning(warning));
            self.warnings.iter().for_each(|warning| say_warning(warning));
            if self.not_rules > 0 {
                say_warning(&format!("{} YAML documents are no rules", self.not_rules));
            }
        }
    }

    /// Whether every log source that a file explains was understood.
    pub fn log_sources_complete(&self) -> bool {
        !self.doubts.iter().any(|doubt| doubt.lost)
    }

    /// The filters, with what each took away.
    pub fn filters(&self, ledger: &Ledger) -> Vec<FilterEntry> {
        let mut rules = vec![0; self.set.filters().len()];
        for filter in self.set.rules().flat_map(|(id, _)| self.set.filters_of(id)) {
            rules[filter.index()] += 1;
        }
        let filters = self.set.filters().iter().zip(rules).enumerate();
        let entry = |(index, (filter, rules)): (usize, (&Filter, u64))| FilterEntry {
            origin: filter.origin.to_string(),
            id: filter.id.clone(),
            title: filter.title.clone(),
            rules,
            hits: ledger.taken_away().by_filter(index),
        };
        filters.map(entry).collect()
    }

    /// The entries, with what each rule hit, and which had nothing to look at. Of a hunt that was cut
    /// short nobody knows the latter.
    pub fn take_entries(&mut self, hits: &[u64], ledger: &Ledger) -> Vec<RuleEntry> {
        let mut entries = std::mem::take(&mut self.entries);
        let places = self.places.iter().chain(&self.correlation_places);
        for (hits, place) in hits.iter().zip(places) {
            // A rule with an aggregation and its correlation are one.
            entries[*place].hits += *hits;
        }
        for (index, place) in self.places.iter().enumerate() {
            entries[*place].filtered += ledger.taken_away().of_rule(index);
        }
        if ledger.cut_short() {
            return entries;
        }
        let sighted = self.set.sighted(ledger.kinds());
        for (((_, rule), sighted), place) in self.set.rules().zip(&sighted).zip(&self.places) {
            let entry = &mut entries[*place];
            if entry.state == RuleState::Loaded && !sighted {
                entry.state = RuleState::Blind;
                entry.reason = Some(sight::missing(rule, &self.set, ledger.kinds()));
            }
        }
        let missing = |rule: &Rule| sight::missing(rule, &self.set, ledger.kinds());
        let places = &self.correlation_places;
        correlations::note_blind(&self.set, places, &sighted, missing, &mut entries);
        entries
    }
}

/// What is wanted; what a rule's aggregation became is that rule.
fn documents(loaded: &LoadedRules, filter: &RuleFilter, taxonomy: &Taxonomy) -> Vec<Document> {
    let unwanted = filter.unwanted(loaded);
    let rules = loaded.rules.iter().zip(&unwanted.rules).filter(|(_, why)| why.is_none());
    let rules = rules.map(|(rule, _)| Document {
        kind: DocumentKind::Rule,
        about: rule.about.clone(),
        logsource: Some(rule.logsource.clone()),
        applicability: Some(Applicability::of(rule, taxonomy)),
    });
    let correlations = loaded.correlations.iter().zip(&unwanted.correlations);
    let correlations = correlations
        .filter(|(correlation, why)| why.is_none() && !correlation.aggregation)
        .map(|(correlation, _)| Document {
            kind: DocumentKind::Correlation,
            about: correlation.about.clone(),
            logsource: None,
            applicability: None,
        });
    let filters = loaded.filters.iter().filter(|one| filter.left_out(&one.about).is_none());
    let filters = filters.map(|one| Document {
        kind: DocumentKind::Filter,
        about: one.about.clone(),
        logsource: Some(one.logsource.clone()),
        applicability: None,
    });
    rules.chain(correlations).chain(filters).collect()
}

/// How many rules wait for lists of values, and for which.
fn missing_lists(entries: &[RuleEntry], verbose: bool) -> Option<String> {
    let mut rules = 0u64;
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for entry in entries.iter().filter(|entry| entry.state == RuleState::LeftOut) {
        // The loader names placeholders as rules write them, `%name%`.
        let reason = entry.reason.as_deref().unwrap_or("");
        let Some(list) = reason.strip_prefix("no list of values is given for ") else { continue };
        rules += 1;
        names.extend(list.split('%').skip(1).step_by(2));
    }
    let shown = if verbose { names.len() } else { LISTS_SHOWN };
    let named: Vec<String> = names.iter().take(shown).map(|name| format!("%{name}%")).collect();
    let more = names.len().saturating_sub(shown);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (rules > 0).then(|| {
        let s = if rules == 1 { "" } else { "s" };
        format!(
            "{rules} rule{s} left out for want of lists of values for {}{more}: give each with \
             --expand NAME=FILE, or all with --expand-dir",
            named.join(", ")
        )
    })
}

/// Adds the filters that were given beside the rules.
pub fn add_filters(args: &RuleArgs, loaded: &mut LoadedRules, options: LoadOptions) -> Result<()> {
    if args.filters.is_empty() {
        return Ok(());
    }
    let options = LoadOptions { only_filters: true, ..options };
    let filters = sigma::load(&args.filters, &options)
        .map_err(|error| anyhow::anyhow!("--filter: {error}: check the path"))?;
    loaded.append(filters);
    Ok(())
}

/// What is said of a document that was loaded.
fn entry(rule: &About, about: Option<String>, left_out: Option<String>) -> RuleEntry {
    RuleEntry {
        origin: rule.origin.to_string(),
        id: rule.id.clone(),
        title: Some(rule.title.clone()),
        level: Some(rule.level as usize),
        about,
        tactics: tactics(&rule.tags),
        state: if left_out.is_some() { RuleState::LeftOut } else { RuleState::Loaded },
        reason: left_out,
        hits: 0,
        filtered: 0,
    }
}

/// Whether a warning is about a filter.
fn is_of_filters(code: WarningCode) -> bool {
    matches!(
        code,
        WarningCode::FilterWithoutNot | WarningCode::FilterReference | WarningCode::IdleFilter
    )
}

fn unreadable(file: &sigma::Unreadable) -> RuleEntry {
    RuleEntry {
        origin: file.path.clone(),
        id: None,
        title: None,
        level: None,
        about: None,
        tactics: Vec::new(),
        state: RuleState::Refused,
        reason: Some(file.reason.clone()),
        hits: 0,
        filtered: 0,
    }
}

/// A rule that asks for what was not given is left out; one that cannot be understood is refused.
fn refused(rule: &sigma::Refused) -> RuleEntry {
    let state = match rule.kind {
        RefusalKind::Status | RefusalKind::Placeholder => RuleState::LeftOut,
        RefusalKind::Error | RefusalKind::NotSupported => RuleState::Refused,
    };
    RuleEntry {
        origin: rule.origin.to_string(),
        id: rule.id.clone(),
        title: rule.title.clone(),
        level: None,
        about: None,
        tactics: Vec::new(),
        state,
        reason: Some(match rule.kind {
            RefusalKind::Placeholder => {
                format!("{}: give it with --expand or --expand-dir", rule.reason)
            }
            _ => rule.reason.clone(),
        }),
        hits: 0,
        filtered: 0,
    }
}
