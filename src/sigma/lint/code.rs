//! What can be said against a rule: the codes, how severe each is, and what to do.
//!
//! Codes are names that users write down, in `--ignore` and in the configuration of their build; one
//! that was released keeps its name and its meaning. The table in `docs/rules.md` is compared with
//! this one by a test.
//!
//! Severities: an *error* keeps the document from being loaded, so nothing is hunted with it. A
//! *warning* is what most often makes a rule do something else than its author wanted, or breaks it
//! elsewhere; what pySigma's validators call high and medium is a warning here, unless the rule is
//! refused anyway. An *info* is style, or good to know; what they call low is one.

use std::fmt;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Style, or good to know.
    Info,
    /// The rule is loaded, and probably does not do what it is meant to.
    Warning,
    /// The document was not loaded.
    Error,
}

impl Severity {
    /// All, from the least.
    pub const ALL: [Severity; 3] = [Severity::Info, Severity::Warning, Severity::Error];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

macro_rules! codes {
    ($($variant:ident $name:literal $severity:ident $what:literal, $advice:literal;)+) => {
        /// What a finding is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(
                #[doc = $what]
                $variant,
            )+
        }

        impl Code {
            /// All codes, errors first.
            pub const ALL: &[Code] = &[$(Code::$variant,)+];

            /// Its name.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Code::$variant => $name,)+
                }
            }

            /// How much it matters.
            #[must_use]
            pub fn severity(self) -> Severity {
                match self {
                    $(Code::$variant => Severity::$severity,)+
                }
            }

            /// What it means, in a sentence.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Code::$variant => $what,)+
                }
            }

            /// What to do about it.
            #[must_use]
            pub fn advice(self) -> &'static str {
                match self {
                    $(Code::$variant => $advice,)+
                }
            }
        }
    };
}

codes! {
    UnreadableFile "unreadable-file" Error
        "A file of rules cannot be read.", "check the file and its permissions";
    InvalidYaml "invalid-yaml" Error
        "A document is no YAML, or YAML of a kind that rules do not need.",
        "correct the document";
    InvalidRule "invalid-rule" Error
        "A part that a rule must have is missing or not what it should be.",
        "write it as the Sigma specification has it";
    UnknownModifier "unknown-modifier" Error
        "A field has a modifier that there is not.",
        "correct the name: Sigma's modifiers appendix has all";
    InvalidModifier "invalid-modifier" Error
        "A modifier cannot stand where it stands.",
        "change the order, or leave one out";
    InvalidValue "invalid-value" Error
        "A value is not what its modifier takes.", "correct the value or the modifier";
    InvalidCondition "invalid-condition" Error
        "A condition cannot be read.", "correct the condition";
    UnknownSection "unknown-section" Error
        "A condition names a section, or a pattern for sections, that the rule does not have.",
        "correct the name, or add the section";
    InvalidCorrelation "invalid-correlation" Error
        "A part of a correlation is missing or not what it should be.",
        "write it as Sigma's specification of correlations has it";
    InvalidFilter "invalid-filter" Error
        "A part of a filter is missing or not what it should be.",
        "write it as Sigma's specification of filters has it";
    UnresolvedReference "unresolved-reference" Error
        "A correlation refers to a rule that there is not, that was not loaded, that is not the only \
         one of its name, or that refers back.",
        "correct the name, and load what it refers to along with it";
    Unsupported "unsupported" Error
        "A valid document of a kind that Harrier does not evaluate.",
        "leave it out, or write it as a correlation";
    MissingPlaceholder "missing-placeholder" Warning
        "A placeholder has no list of values; the rule is left out.",
        "give the values with --expand NAME=FILE";
    UnusedSection "unused-section" Warning
        "The condition does not use a section.",
        "name it in the condition, or take it out";
    IdleTimeframe "idle-timeframe" Warning
        "`timeframe` has no meaning without an aggregation.",
        "write a correlation, or take it out";
    FilterWithoutNot "filter-without-not" Warning
        "A filter's condition has no `not`: it keeps what it names and takes all else away.",
        "write `not selection`, if that is not meant";
    FilterReference "filter-reference" Warning
        "A filter names a rule that it cannot be applied to.",
        "correct the name or the log source, or load the rule along with it";
    IdleFilter "idle-filter" Warning
        "A filter is for none of the rules.", "load the rules that it is for along with it";
    AllOfThem "all-of-them" Warning
        "`all of them` takes in every section, also one that is added later as a filter.",
        "name the sections, or write `all of selection_*`";
    RepeatedModifier "repeated-modifier" Warning
        "A modifier stands twice.", "write it once";
    AllWithoutContains "all-without-contains" Warning
        "With `all`, a field is to equal several texts at once.",
        "add `contains`, or take `all` out";
    Base64offsetWithoutContains "base64offset-without-contains" Warning
        "`base64offset` gives a piece of encoded text, and a whole value is hardly ever just that.",
        "add `contains` behind it";
    WindashWithAll "windash-with-all" Warning
        "`windash` with `all`: other tools want every form of the dash at once.",
        "write an item for each flag if the rule is to be used elsewhere";
    BareWide "bare-wide" Warning
        "A text is made UTF-16 and then not encoded; event text is decoded, so it hardly occurs.",
        "add `base64` or `base64offset`, or take `wide` out";
    ControlCharacter "control-character" Warning
        "A value holds a control character, most often an escape in double quotes.",
        "use single quotes, in which a backslash stays one";
    EmptyList "empty-list" Warning
        "A field has an empty list, which asks for its absence, as `null` does.",
        "give values, or write `null`";
    HostBits "host-bits" Warning
        "A network has host bits set; they are not looked at.", "write the network's own address";
    NullNeverAbsent "null-never-absent" Warning
        "`null` asks for the absence of a field that Sysmon always writes, empty if need be.",
        "write `''` instead or beside it";
    UnknownField "unknown-field" Warning
        "None of the events that the rule speaks of has this field.",
        "correct the name, or the log source";
    NeverMatches "never-matches" Warning
        "The log source and the tests of event id or provider exclude each other.",
        "correct one of them";
    UnknownLogSource "unknown-log-source" Warning
        "Nothing is known of the log source: the rule cannot hit.",
        "correct it, or explain it with --taxonomy";
    SpecificLogSource "specific-log-source" Warning
        "A rule for the service sysmon tests an event id for which Sigma has a category.",
        "use the category, which stands for all events of the kind";
    UnknownStatus "unknown-status" Warning
        "The status is none of Sigma's; the rule counts as one without.",
        "write stable, test, experimental, deprecated or unsupported";
    MissingId "missing-id" Warning
        "The rule has no id, by which it could be chosen or excluded.", "add a random UUID";
    InvalidId "invalid-id" Warning
        "The id is no UUID.", "give the rule a random UUID";
    DuplicateId "duplicate-id" Warning
        "Two rules have the same id.", "give one of them a new id";
    DuplicateTitle "duplicate-title" Warning
        "Two rules have the same title: their hits look the same.", "say how they differ";
    DuplicateFilename "duplicate-filename" Warning
        "Two files of rules in different folders have the same name.", "rename one of them";
    FilenameLength "filename-length" Warning
        "The file's name is shorter than 10 or longer than 90 characters.", "rename it";
    MissingLevel "missing-level" Warning
        "The rule has no level and counts as informational.", "add a level";
    InvalidDate "invalid-date" Warning
        "A date is not written YYYY-MM-DD.", "write YYYY-MM-DD";
    MisspeltKey "misspelt-key" Warning
        "A key that Sigma does not know, and that looks like one that it knows.",
        "correct it; a key of your own should look different";
    InvalidTag "invalid-tag" Warning
        "A tag is not of the form that its namespace has, or of no namespace of Sigma's.",
        "see Sigma's tags appendix";
    DuplicateTag "duplicate-tag" Warning "A tag stands twice.", "take one out";
    DuplicateReference "duplicate-reference" Warning "A reference stands twice.", "take one out";
    NotARule "not-a-rule" Info
        "A YAML document that has nothing of a rule.", "nothing, if it is meant to be none";
    NotInEventLogs "not-in-event-logs" Info
        "The rule is for a log source that is never in Windows event logs: it is not evaluated.",
        "nothing, if that is meant";
    OpenPrefilter "open-prefilter" Info
        "The prefilter cannot rule this rule out by text, so it is evaluated for each event of its \
         kinds: it costs time.",
        "demand some text of two or more characters, if the rule has any";
    AllWithOneValue "all-with-one-value" Info
        "`all` with a single value says nothing.", "take `all` out";
    NullInList "null-in-list" Info
        "`null` in a list: the specification forbids it, and tools differ in what they make of it.",
        "write a section of its own with `null`";
    ThemSingleSection "them-single-section" Info
        "`them` stands for a single section.", "write the section's name";
    DoubleWildcard "double-wildcard" Info "`**` means no more than `*`.", "write one";
    EscapedWildcard "escaped-wildcard" Info
        "A wildcard is escaped and stands for itself; often a backslash before a wildcard was meant.",
        "write two backslashes if a wildcard was meant, else leave it";
    NumberAsString "number-as-string" Info
        "A number is written in quotes.", "write it without";
    WildcardInsteadOfModifier "wildcard-instead-of-modifier" Info
        "Wildcards at the ends of all values, for which there is a modifier.",
        "write `contains`, `startswith` or `endswith`";
    DeprecatedAggregation "deprecated-aggregation" Info
        "An aggregation in the condition, which correlations have taken the place of.",
        "write a correlation";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_kebab_case_each_its_own_and_in_order() {
        let names: HashSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        for code in Code::ALL {
            let name = code.as_str();
            let kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(name.chars().all(kebab) && !name.starts_with('-'), "{name}");
            assert!(code.meaning().ends_with('.'), "{name}");
            assert!(!code.advice().is_empty() && !code.advice().ends_with('.'), "{name}");
        }
        assert!(Code::ALL.is_sorted_by_key(|code| std::cmp::Reverse(code.severity())));
    }
}
