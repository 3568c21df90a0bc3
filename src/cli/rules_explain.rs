//! `harrier rules explain`: a rule taken apart, as a catalogue of detections has it.

use super::args::{ColorArg, RuleArgs, expansion};
use super::output::{PAGE_OF_TEXT, terminal, wants_colour};
use super::rule_filter::near;
use super::rules::REFUSALS_SHOWN;
use super::shell::print;
use super::taxonomy::{self, Doubt};
use super::{Exit, expand, regression, say, say_error};
use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use harrier::{
    attack::Attack,
    engine::RuleSet,
    explain::{Candidate, Corpus, NotFound, Subject, find, page},
    report::{escape, explain::PageFormat},
    sigma::{self, About, LoadOptions, LoadedRules, RefusalKind, Refused},
};
use std::{
    io::{self, IsTerminal as _},
    path::PathBuf,
};

/// So many of several rules are named.
const NAMED: usize = 20;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  harrier rules explain c4e3f275                     a built-in rule, by the beginning of its id
  harrier rules explain 'AMSI Provider Registered' --format markdown
  harrier rules explain 33efc23c-6ea2-4503-8cfe-bdf82ce8f705 -r sigma/
                                                    a rule of SigmaHQ's, counted among all of theirs
  harrier rules explain registry_set_persistence_amsi_providers -r sigma/ --format html > page.html

The page says what the rule covers of MITRE ATT&CK, which events it looks at and what its fields are
called there, its condition part by part, what it excludes, all that it compares fields with and in how
many rules of the rule set the same stands, which literals have to be in an event, and its regression
data.

Exit codes: 0 explained; 1 some rules could not be loaded; 2 bad arguments, no such rule, or several.")]
pub struct ExplainArgs {
    /// The rule: its id, the beginning of its id, its title, or its file
    #[arg(value_name = "RULE")]
    pub rule: String,
    /// Sigma rules: a file, a folder, or a zip archive; the built-in ones if not given
    #[arg(short, long = "rules", value_name = "RULES")]
    pub rules: Vec<PathBuf>,
    /// Take log sources in their wider sense: also events that not every host records that way
    #[arg(long)]
    pub extended_sources: bool,
    /// Take log sources and field names from FILE, as SigmaHQ's thor.yml has them, instead of the
    /// built-in ones for the same log sources
    #[arg(long, value_name = "FILE")]
    pub taxonomy: Vec<PathBuf>,
    /// Know no log sources but those of --taxonomy
    #[arg(long, requires = "taxonomy")]
    pub no_builtin_taxonomy: bool,
    /// Values for a placeholder %NAME% of rules with 'expand', one on each line of FILE
    #[arg(long, value_name = "NAME=FILE", value_parser = expansion)]
    pub expand: Vec<(String, PathBuf)>,
    /// A folder of such lists; a file's name without its ending is its placeholder's
    #[arg(long, value_name = "DIR")]
    pub expand_dir: Vec<PathBuf>,
    /// Load rules whose status is 'deprecated' or 'unsupported', too
    #[arg(long, alias = "include-unsupported")]
    pub include_deprecated: bool,
    /// The folder in which regression_data lies; if not given, it is looked for around the rules
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// How the page looks
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = PageArg::Text)]
    pub format: PageArg,
    /// When to colour
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = ColorArg::Auto)]
    pub color: ColorArg,
}

/// The formats of pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PageArg {
    /// To be read on a terminal
    #[value(alias = "txt", alias = "table")]
    Text,
    /// For reports and tickets
    #[value(alias = "md")]
    Markdown,
    /// For programs
    Json,
    /// A page for a browser or a printer, complete in itself
    Html,
}

impl PageArg {
    /// As it is to look where it goes.
    pub fn build(self, color: ColorArg) -> PageFormat {
        let on_terminal = io::stdout().is_terminal();
        match self {
            PageArg::Markdown => PageFormat::Markdown,
            PageArg::Json => PageFormat::Json,
            PageArg::Html => PageFormat::Html,
            PageArg::Text => PageFormat::Text {
                width: if on_terminal { terminal() } else { PAGE_OF_TEXT },
                color: wants_colour(color, on_terminal),
            },
        }
    }
}

/// Explains a rule.
pub fn run(args: &ExplainArgs) -> Result<Exit> {
    let given = args.rules();
    let (taxonomy, doubts) = taxonomy::read(&given)?;
    doubts.iter().for_each(Doubt::say);
    let loaded = load(&given)?;
    let set = RuleSet::compile(loaded.rules.clone(), taxonomy);
    let attack = Attack::builtin();
    let corpus = Corpus {
        set: &set,
        correlations: &loaded.correlations,
        filters: &loaded.filters,
        attack: &attack,
    };
    let subject = match find(&args.rule, &corpus) {
        Ok(subject) => subject,
        Err(why) => bail!("{}", not_found(&args.rule, &why, &loaded)),
    };
    let mut page = page(subject, &corpus);
    page.body =
        about(subject, &corpus).and_then(|about| loaded.text_of(&about.origin)).map(str::to_owned);
    if let Some(path) =
        about(subject, &corpus).and_then(|about| about.regression_tests_path.as_deref())
    {
        let roots = regression::roots(&given.rules, args.data.as_deref());
        page.regression = Some(regression::told(path, page.id.as_deref(), &roots));
    }
    print(&args.format.build(args.color).rule(&page))?;
    let lost = doubts.iter().any(|doubt| doubt.lost);
    Ok(if tell_refused(&loaded) || lost { Exit::Incomplete } else { Exit::Complete })
}

impl ExplainArgs {
    /// The same as the arguments of a hunt.
    fn rules(&self) -> RuleArgs {
        RuleArgs {
            rules: self.rules.clone(),
            extended_sources: self.extended_sources,
            taxonomy: self.taxonomy.clone(),
            no_builtin_taxonomy: self.no_builtin_taxonomy,
            expand: self.expand.clone(),
            expand_dir: self.expand_dir.clone(),
            include_deprecated: self.include_deprecated,
            ..RuleArgs::default()
        }
    }
}

/// All that the rule paths hold, with their texts.
pub fn load(args: &RuleArgs) -> Result<LoadedRules> {
    let options = LoadOptions {
        expand: expand::read(&args.expand, &args.expand_dir)?.values,
        include_inactive: args.include_deprecated || args.include_unsupported,
        keep_text: true,
        ..LoadOptions::default()
    };
    if args.rules.is_empty() {
        return Ok(sigma::load_builtin_with(&options));
    }
    sigma::load(&args.rules, &options)
        .map_err(|error| anyhow::anyhow!("rules: {error}: check the path"))
}

/// What a subject says about itself.
fn about<'c>(subject: Subject, corpus: &Corpus<'c>) -> Option<&'c About> {
    match subject {
        Subject::Rule(id) => Some(&corpus.set.rule(id).about),
        Subject::Correlation(index) => corpus.correlations.get(index).map(|of| &of.about),
        Subject::Filter(index) => corpus.filters.get(index).map(|of| &of.about),
    }
}

/// Says which rules could not be loaded, and whether there are any: the counts are without them.
pub fn tell_refused(loaded: &LoadedRules) -> bool {
    let broken =
        |refused: &&Refused| matches!(refused.kind, RefusalKind::Error | RefusalKind::NotSupported);
    let refused = loaded.refused.iter().filter(broken);
    let refused = refused.map(|rule| format!("{}: rule not loaded: {}", rule.origin, rule.reason));
    let unreadable = loaded.unreadable.iter().map(|file| format!("{}: {}", file.path, file.reason));
    let all: Vec<String> = refused.chain(unreadable).collect();
    all.iter().take(REFUSALS_SHOWN).for_each(|line| say_error(line));
    let more = all.len().saturating_sub(REFUSALS_SHOWN);
    if more > 0 {
        say_error(&format!("{more} more rules not loaded: 'harrier hunt --ledger' names them"));
    }
    !all.is_empty()
}

/// Why no rule is explained.
pub fn not_found(query: &str, why: &NotFound, loaded: &LoadedRules) -> String {
    if let NotFound::Several(candidates) = why {
        for Candidate { title, id, file } in candidates.iter().take(NAMED) {
            let id = id.as_deref().unwrap_or("(no id)");
            say(&format!("  {}", escape::lined(&format!("{id}  {title}  {file}"))));
        }
        let more = candidates.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(", {more} of them not shown") } else { String::new() };
        return format!("{query}: {} rules are meant{more}: give the id of one", candidates.len());
    }
    let folded = harrier::utf16::folded(query);
    let is_meant = |refused: &&Refused| {
        let same = |text: &Option<String>| {
            text.as_deref().is_some_and(|text| harrier::utf16::folded(text).starts_with(&folded))
        };
        same(&refused.id) || same(&refused.title)
    };
    if let Some(refused) = loaded.refused.iter().find(is_meant) {
        let advice = match refused.kind {
            RefusalKind::Status => ": add --include-deprecated",
            RefusalKind::Placeholder => ": give them with --expand",
            RefusalKind::Error | RefusalKind::NotSupported => "",
        };
        return format!("{query}: that rule was not loaded: {}{advice}", refused.reason);
    }
    let titles = loaded.rules.iter().map(|rule| rule.title.as_str());
    let ids = loaded.rules.iter().filter_map(|rule| rule.id.as_deref());
    let near = near(query, &titles.chain(ids).collect());
    match near.as_slice() {
        [] => format!("{query}: there are no rules: check -r"),
        near => format!("{query}: no rule has this id, title or file: near: {}", near.join(", ")),
    }
}
