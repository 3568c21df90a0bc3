//! Views: how the field names of a rule are read in a kind of events.
//!
//! A rule of category `process_creation` speaks Sysmon's language (`Image`, `ParentProcessId`) also
//! of Security event 4688, where the same things have other names and the same names mean other
//! things; a rule of service `security` speaks of that very event in its own names. Whose names
//! count is the view, and it belongs to the source through which a rule sees an event. Sources whose
//! names need no translation have the view [`View::Plain`], so that rules of different log sources
//! share their tests.

/// How field names are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum View {
    /// As they stand in the event.
    Plain,
    /// As for Sysmon 1, in Security 4688.
    ProcessCreation,
    /// As for Sysmon 5, in Security 4689.
    ProcessTermination,
    /// As for Sysmon 12 to 14, in Security 4657.
    Registry,
    /// As for Sysmon 3, in Security 5156 and 5157.
    NetworkConnection,
    /// As antivirus rules call things, in Defender's events.
    Antivirus,
    /// As for Sysmon 19 to 21, in WMI-Activity 5861.
    WmiEvent,
    /// As Hayabusa's own rules call things: `Channel` is System's, and Hayabusa's aliases hold
    /// where no field has the name.
    Hayabusa,
    /// With names that a file of log sources maps; which ones knows the [`Taxonomy`] that gave it.
    ///
    /// [`Taxonomy`]: super::Taxonomy
    Mapped(u8),
}

impl View {
    /// The views of the tables.
    pub const ALL: [View; 8] = [
        View::Plain,
        View::ProcessCreation,
        View::ProcessTermination,
        View::Registry,
        View::NetworkConnection,
        View::Antivirus,
        View::WmiEvent,
        View::Hayabusa,
    ];

    /// Its name, as in the tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            View::Plain => "plain",
            View::ProcessCreation => "process_creation",
            View::ProcessTermination => "process_termination",
            View::Registry => "registry",
            View::NetworkConnection => "network_connection",
            View::Antivirus => "antivirus",
            View::WmiEvent => "wmi_event",
            View::Hayabusa => "hayabusa",
            View::Mapped(_) => "mapped",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<View> {
        View::ALL.into_iter().find(|view| view.as_str() == name)
    }
}
