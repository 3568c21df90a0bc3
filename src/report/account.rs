//! What different events call the same thing: who, which process, from where, on what.
//!
//! Each notion has the names under which events of Sysmon, Security and others record it, the first
//! that says something wins. These make columns that can be filtered across events; they are for
//! reading, decide nothing, and hide nothing: every field stands in `Details` as well.
//!
//! Source of facts: the manifests of Microsoft-Windows-Sysmon and
//! Microsoft-Windows-Security-Auditing, and of the providers named beside a row.

use super::Hit;
use std::borrow::Cow;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notion {
    User,
    TargetUser,
    Process,
    CommandLine,
    Parent,
    ParentCommandLine,
    Target,
    SourceIp,
    DestinationIp,
}

/// Where it may stand.
enum Place {
    Field(&'static str),
    /// A domain and a name, shown as `domain\name`.
    Account(&'static str, &'static str),
}

use Place::{Account, Field};

impl Notion {
    fn places(self) -> &'static [Place] {
        match self {
            Notion::User => &[
                Field("User"),
                Field("SourceUser"),
                Account("SubjectDomainName", "SubjectUserName"),
                // Windows Defender
                Field("Detection User"),
            ],
            Notion::TargetUser => {
                &[Field("TargetUser"), Account("TargetDomainName", "TargetUserName")]
            }
            Notion::Process => &[
                Field("Image"),
                Field("NewProcessName"),
                Field("ProcessName"),
                Field("SourceImage"),
                Field("CallerProcessName"),
                // Security 5156 and its like
                Field("Application"),
                // Windows Defender
                Field("Process Name"),
            ],
            Notion::CommandLine => &[Field("CommandLine")],
            Notion::Parent => &[Field("ParentImage"), Field("ParentProcessName")],
            Notion::ParentCommandLine => &[Field("ParentCommandLine")],
            Notion::Target => &[
                Field("TargetFilename"),
                Field("TargetObject"),
                Field("TargetImage"),
                Field("ImageLoaded"),
                Field("ObjectName"),
                Field("PipeName"),
                Field("QueryName"),
                // Service Control Manager 7045
                Field("ImagePath"),
                Field("ServiceFileName"),
                Field("ServiceName"),
                Field("TaskName"),
                Field("RelativeTargetName"),
                Field("ShareName"),
                Field("DestinationHostname"),
                // Windows Defender
                Field("Path"),
            ],
            Notion::SourceIp => &[
                Field("SourceIp"),
                Field("SourceAddress"),
                Field("IpAddress"),
                Field("ClientAddress"),
                // TerminalServices-LocalSessionManager
                Field("Address"),
            ],
            Notion::DestinationIp => &[Field("DestinationIp"), Field("DestAddress")],
        }
    }

    /// What the event says.
    pub(super) fn of<'h>(self, hit: &Hit<'h>) -> Option<Cow<'h, str>> {
        self.places().iter().find_map(|place| match place {
            Field(name) => said(hit, name).map(Cow::Borrowed),
            Account(domain, name) => {
                let name = said(hit, name)?;
                Some(match said(hit, domain) {
                    Some(domain) => Cow::Owned(format!("{domain}\\{name}")),
                    None => Cow::Borrowed(name),
                })
            }
        })
    }
}

/// A field's value, if it says something: Windows writes `-` where there is nothing.
pub(super) fn said<'h>(hit: &Hit<'h>, name: &str) -> Option<&'h str> {
    let value = hit.data.iter().find(|(field, ..)| *field == name)?.1;
    (!value.is_empty() && value != "-").then_some(value)
}
